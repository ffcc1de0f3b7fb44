"""Progress of the steps of a run, as bars on a terminal or in a cell of a notebook."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

from lucas_storage.display import live

_OUTPUT: Final = 1
_ERRORS: Final = 2

_shown = threading.Lock()
"""Held by the run whose progress is shown: two would write over each other."""


class StepProgress:
    """A line for every function: how many of its steps are done, reused or failed. Safe to share between threads."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        # Guards the counts, and their order on the screen: a total must not be overwritten by an earlier one.
        self._lock = threading.Lock()
        self._tasks: dict[str, Any] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def began(self, function: str) -> None:
        """Add a step that has begun."""
        with self._lock:
            if function not in self._tasks:
                self._tasks[function] = self._bars.add_task(function, total=0, note="")
                self._counts[function] = {"begun": 0, "reused": 0, "failed": 0}
            counts = self._counts[function]
            counts["begun"] += 1
            self._bars.update(self._tasks[function], total=counts["begun"])

    def ended(self, function: str, *, reused: bool, failed: bool) -> None:
        """Mark a step as done."""
        with self._lock:
            counts = self._counts[function]
            counts["reused"] += reused
            counts["failed"] += failed
            note = ", ".join(f"{counts[what]} {what}" for what in ("reused", "failed") if counts[what])
            self._bars.update(self._tasks[function], advance=1, note=note)


@contextlib.contextmanager
def shown(*, wanted: bool) -> Iterator[StepProgress | None]:
    """Show the progress of the body's steps.

    Yields None without a terminal and outside of a notebook, or while another run shows its own.
    """
    found = _bars() if wanted else None
    # Without waiting: a nested or a parallel run goes on without bars.
    if found is None or not _shown.acquire(blocking=False):
        yield None
        return
    try:
        with found as bars:
            yield StepProgress(bars)
    finally:
        _shown.release()


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _bars() -> AbstractContextManager[Any] | None:
    display = live.notebook()
    if display is not None:
        return live.LiveBars(display)
    return _terminal_bars() if _is_terminal(_ERRORS) else None


def _terminal_bars() -> Any:
    from rich.console import Console  # noqa: PLC0415  # of use on terminals only
    from rich.progress import (  # noqa: PLC0415
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    # Output of steps appears above the bars; if it is redirected to a file or a pipe, it must go there.
    return Progress(*columns, console=Console(stderr=True), redirect_stdout=_is_terminal(_OUTPUT))
