"""The route about the difference of two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from actorc.storage.server.api.routes import Request, Route
from lucas_storage.lineage.differences.difference import Change
from lucas_storage.lineage.run_diff import run_diff
from lucas_storage.records import run_history

from .request_store import RequestStore
from .run_routes import OfRun, RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentChange:
    """How two artifacts differ."""

    kind: str
    before: str | None
    """Reference; null if there is none."""
    after: str | None
    summary: tuple[str, ...]
    lines: tuple[str, ...]
    """Of texts, the lines of a unified diff."""
    changes: tuple[Change, ...]
    complete: bool
    images: tuple[str | None, str | None]
    """Small PNG files in Base64."""
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChange:
    """A step that is another in two runs, or is in one of them only."""

    function: str
    how: str
    """result, version, inputs, state, name, added or removed."""
    before: str | None
    """Key of the step."""
    after: str | None
    inputs: tuple[Change, ...]
    facts: tuple[Change, ...]
    seconds: tuple[float | None, float | None]
    sizes: tuple[int | None, int | None]
    source: tuple[str, ...]
    """Lines of a unified diff; of the first step that differs alone, and so below."""
    results: tuple[ContentChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """The difference of two runs."""

    equal_runs: bool
    before: str
    after: str
    workflow: str
    facts: tuple[Change, ...]
    parameters: tuple[Change, ...]
    surroundings: tuple[Change, ...]
    """Machine, Python and packages."""
    first: StepChange | None
    """The first step whose inputs are equal and whose result is not."""
    steps: tuple[StepChange, ...]
    differing: int
    equal: int
    results: tuple[ContentChange, ...]


class OfDiff(OfRun, kw_only=True):
    """Those of the difference of two runs."""

    before: Annotated[RunId, msgspec.Meta(description="Id of the former run.")]


def diff_routes() -> list[Route]:
    """Return the route about differences."""
    return [
        Route(
            path="/runs/{run}/diff",
            name="diff",
            tag="runs",
            summary="Tell how a run differs from a former one, and the first step that explains it.",
            answer=RunChange,
            handle=_diff,
            parameters=OfDiff,
        )
    ]


def _diff(request: Request, parameters: OfDiff) -> dict[str, Any]:
    storage = RequestStore(request, parameters.bucket)
    # both with the large fields of their steps, among which are the arguments
    before, after = (run_history.find(storage, text) for text in (parameters.before, parameters.run))
    return run_diff(storage, before, after).to_json()
