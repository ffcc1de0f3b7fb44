"""Replays whose differences are told by the contents of the artifacts, not by their digests alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.refs import ArtifactRef
from lucas_storage.replay import replay
from lucas_storage.replay.replay import Replay
from lucas_storage.shipping.shim import Shim

from .differences.content import content_difference
from .run_diff_text import content_lines

_LINES: Final = 20
"""Lines about two artifacts."""


def run_again(
    run: PastRun,
    step: PastStep,
    function: Shim,
    changed: Mapping[str, Any] | None = None,
    *,
    today: bool = False,
    failed: Callable[[BaseException], None] = lambda _: None,
    whole_process: bool = False,
) -> Replay:
    """Run one step again as `replay` does, whose arguments these are, and tell how the contents of results differ."""
    return replay.replay(
        run,
        step,
        function,
        changed,
        today=today,
        failed=failed,
        explained=_explained,
        whole_process=whole_process,
    )


def _explained(storage: ArtifactStore, before: ArtifactRef, after: ArtifactRef) -> list[str]:
    lines = content_lines(content_difference(storage, before, after), "")
    return list(islice(lines, _LINES))
