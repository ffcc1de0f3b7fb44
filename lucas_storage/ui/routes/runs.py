"""Reads runs and their steps."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Final

from lucas_storage import parallel
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import NotFoundError
from lucas_storage.lineage.run_diff import run_diff
from lucas_storage.lineage.run_graph import step_keys
from lucas_storage.records import run_history
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.refs import ArtifactRef
from lucas_storage.ui.pages.objects import Content
from lucas_storage.ui.pages.page import Page
from lucas_storage.ui.pages.run import RunView, run_page
from lucas_storage.ui.pages.run_diff import run_diff_page
from lucas_storage.ui.pages.run_list import RunList, run_list_page
from lucas_storage.ui.pages.step import StepView, step_page

from .objects import content_of, source_text
from .request import Request

_RUNS: Final = 100
"""Runs of one page."""
_CHOSEN_FROM: Final = 500
"""Runs from which those of one page are chosen."""
_BEFORE: Final = 50
"""Runs among which the one before is looked for."""
_PREVIEWS: Final = 6
"""Inputs, and outputs, that are previewed on the page of a step."""
_ROWS: Final = 10
_SOURCE_MAX: Final = 64 << 10
"""Bytes of a source that are read."""


def run_list(request: Request) -> Page:
    """Return the list of runs."""
    workflow, status = request.query.get("workflow", ""), request.query.get("status", "")
    until = request.query.get("until", "")
    keys = _keys_before(request.storage, until)
    seen = keys[: _CHOSEN_FROM if workflow or status else _RUNS]
    runs = run_history.read_all(request.storage, seen)
    found = RunList(
        runs=[run for run in runs if workflow in run.workflow and status in ("", run.status)],
        workflow=workflow,
        status=status,
        is_first=not until,
        until=seen[-1] if len(seen) < len(keys) else None,
    )
    return run_list_page(found, request.reader)


def _keys_before(storage: ArtifactStore, until: str) -> list[str]:
    """Return the ids of runs, the latest first; with `until`, of those before the run of this id."""
    return sorted((key for key in run_history.keys(storage) if not until or key < until), reverse=True)


def run(request: Request) -> Page:
    """Return the page of a run."""
    found = run_history.find(request.storage, request.text("id"))
    view = RunView(
        run=found,
        before=_before(request.storage, found),
        unfolded=request.query.get("all") == "1",
        function=request.query.get("function") or None,
        first=request.number("first", 0),
    )
    return run_page(view, request.reader)


def diff(request: Request) -> Page:
    """Return the page of the difference of two runs."""
    before, after = (run_history.find(request.storage, request.text(name)) for name in ("a", "b"))
    return run_diff_page(run_diff(request.storage, before, after), request.reader)


def step(request: Request) -> Page:
    """Return the page of a step."""
    found, key = run_history.find(request.storage, request.text("run")), request.text("step")
    steps = dict(zip(step_keys(found), found.steps, strict=True))
    if key not in steps:
        raise NotFoundError(f"the run {found.key} has no step {key!r:.80}; its page lists those there are")
    shown = steps[key]
    view = StepView(
        run=found,
        step=shown,
        key=key,
        source=source_text(request.storage, shown.source, _SOURCE_MAX) if shown.source else None,
        contents=_contents(request.storage, shown),
    )
    return step_page(view, request.reader)


def _before(storage: ArtifactStore, found: PastRun) -> PastRun | None:
    """Return the last run of the same workflow before a run, if few others were between them."""
    others = run_history.read_all(storage, _keys_before(storage, found.key)[:_BEFORE])
    return next((each for each in others if each.workflow == found.workflow), None)


def _contents(storage: ArtifactStore, found: PastStep) -> dict[ArtifactRef, Content]:
    taken = (mention.ref for mention in chain.from_iterable(found.inputs.values()) if mention.ref)
    made = (mention.ref for mention in found.outputs if mention.ref)
    refs = list(dict.fromkeys([*list(taken)[:_PREVIEWS], *list(made)[:_PREVIEWS]]))
    contents = parallel.each(partial(_content, storage), refs)
    return dict(zip(refs, contents, strict=True))


def _content(storage: ArtifactStore, ref: ArtifactRef) -> Content:
    return content_of(storage, ref, _ROWS)
