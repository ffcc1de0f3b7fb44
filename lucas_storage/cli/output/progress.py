"""Progress bars on a terminal: one line for each transfer that runs, and one for all together."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import click

from actorc.storage.units import shown_size
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, Task, TaskID

_BESIDE_BAR: Final = 50
"""Columns for the name, the sizes and the speed of a transfer."""

OnProgress: TypeAlias = "Callable[[int, int | None], None]"
"""Called with the bytes done so far and the total, None if unknown; the numbers only grow."""


def wanted(session: Session, *, quiet: bool) -> bool:
    """Return whether to show progress: on a terminal, unless `quiet` or JSON is asked for."""
    return not quiet and not session.as_json and sys.stderr.isatty()


class Bars:
    """The lines at the bottom of the terminal, for as long as a block runs. Safe to share between threads.

    Args:
        shown: Whether to show anything at all.
        total: Whether there is a line for all transfers together.
    """

    def __init__(self, *, shown: bool, total: bool) -> None:
        self._progress: Progress | None = _progress() if shown else None
        self._total: TaskID | None = None
        # Guards the counts, which the threads of all transfers change.
        self._lock = threading.Lock()
        self._planned = self._ended = 0
        self._bytes = 0
        if self._progress is not None and total:
            self._total = self._progress.add_task("total", total=0)

    def plan(self, size: int | None) -> None:
        """Add a transfer to the total."""
        with self._lock:
            self._planned += 1
            self._bytes += size or 0
        self._update_total(0)

    @contextmanager
    def transfer(self, name: str, size: int | None) -> Iterator[OnProgress]:
        """Show the progress of one transfer in a line of its own while the block runs."""
        if self._progress is None:
            yield _ignore
            return
        progress, before = self._progress, 0
        task = progress.add_task(printable(name), total=size)

        def moved(done: int, total: int | None) -> None:
            nonlocal before
            progress.update(task, completed=done, total=total)
            self._update_total(done - before)
            before = done

        try:
            yield moved
        finally:
            progress.remove_task(task)
            with self._lock:
                self._ended += 1
            # The rest of a transfer that ended early, unchanged or failed: else the total would never be reached.
            self._update_total((size or 0) - before)

    def _update_total(self, moved: int) -> None:
        if self._progress is not None and self._total is not None:
            what = f"total {self._ended} of {self._planned}"
            self._progress.update(self._total, advance=moved, total=self._bytes, description=what)

    def say(self, line: str) -> None:
        """Print a line on standard error, above the bars."""
        if self._progress is None:
            click.echo(line, err=True)
        else:
            # Without markup: brackets in a key are no style.
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def counter(what: str, *, shown: bool) -> Iterator[OnProgress | None]:
    """Show a count while the block runs."""
    if not shown:
        yield None
        return
    from rich.progress import MofNCompleteColumn, SpinnerColumn  # noqa: PLC0415  # of use to few commands only

    with _progress(SpinnerColumn(), MofNCompleteColumn()) as progress:
        task = progress.add_task(printable(what), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _progress(*columns: Any) -> Progress:
    from rich.console import Console  # noqa: PLC0415  # of use to few commands only
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415

    console = Console(stderr=True)
    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    # A name needs some columns, too; sizes and speeds are never cut.
    bar = BarColumn(bar_width=max(min(console.width - _BESIDE_BAR, 40), 5))
    rest = columns or (bar, _sizes(), _speed())
    return Progress(name, *rest, console=console, transient=True)


def _sizes() -> ProgressColumn:
    """Return the column of the bytes done and the total, in the units of all other commands."""
    return _text(lambda task: _amount(int(task.completed), None if task.total is None else int(task.total)))


def _speed() -> ProgressColumn:
    """Return the column of the bytes in a second."""
    return _text(lambda task: f"{shown_size(int(task.speed or 0))}/s" if task.speed else "")


def _text(render: Callable[[Task], str]) -> ProgressColumn:
    from rich.progress import ProgressColumn  # noqa: PLC0415  # as above
    from rich.table import Column  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rendered(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(render(task))

    return Rendered(table_column=Column(no_wrap=True, justify="right"))


def _amount(done: int, total: int | None) -> str:
    return f"{shown_size(done)} of {'?' if total is None else shown_size(total)}"


def _ignore(_done: int, _total: int | None) -> None:
    """Show nothing."""
