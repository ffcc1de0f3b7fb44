"""Live bars in a cell of a notebook: plain HTML that is replaced in place, without widgets.

Nothing is shown of work that ends at once, and nothing outside of a notebook.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from actorc.storage.units import shown_size

from . import markup

_FIRST: Final = 0.5
"""Seconds of work before which nothing is shown."""
_PAUSE: Final = 0.25
"""Seconds between two updates; a kernel sends each to all who look at it."""


def notebook() -> Any | None:
    """Return IPython's `display`, if this process is the kernel of a notebook; None in every other one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    kernel = getattr(shell, "kernel", None)
    # A forked child has a copy of the kernel, whose connections are its parent's.
    if kernel is None or getattr(getattr(kernel, "session", None), "pid", None) != os.getpid():
        return None
    from IPython.display import display  # noqa: PLC0415  # is loaded in a kernel

    return display


@dataclass(slots=True)
class _Bar:
    name: str
    total: int | None
    done: int = 0
    note: str = ""
    unit: Callable[[int], str] = str
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None

    def seconds(self) -> float:
        return (time.monotonic() if self.ended is None else self.ended) - self.started


class LiveBars:
    """Bars, one below the other, shown while the body of ``with`` goes on. Safe to share between threads.

    It has the methods of `rich.progress.Progress` that are used here, so that one watcher serves both.

    Args:
        display: As `notebook` returns it.
    """

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None
        # Guards the bars and the display, which the ticking thread and the threads of the work use.
        self._lock = threading.Lock()
        self._bars: list[_Bar] = []
        self._over = threading.Event()
        self._ticker: threading.Thread | None = None

    def __enter__(self) -> Self:
        # In a copy of the context: a kernel finds the cell that an output belongs to by it.
        context = contextvars.copy_context()
        self._ticker = threading.Thread(target=context.run, args=(self._tick,), name="live bars", daemon=True)
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        if self._ticker is not None:
            self._ticker.join()
        with self._lock:
            for bar in self._bars:
                bar.ended = bar.ended or time.monotonic()
            if self._handle is not None:
                self._show()

    def add_task(self, name: str, *, total: int | None, note: str = "") -> int:
        """Add a bar and return its number."""
        with self._lock:
            self._bars.append(_Bar(name, total, note=note))
            return len(self._bars) - 1

    def update(self, number: int, *, total: int | None = None, advance: int = 0, note: str | None = None) -> None:
        """Change a bar; what is not given stays."""
        with self._lock:
            bar = self._bars[number]
            bar.total = bar.total if total is None else total
            bar.done += advance
            bar.note = bar.note if note is None else note
            bar.ended = time.monotonic() if bar.done == bar.total else None

    def _tick(self) -> None:
        pause = _FIRST
        while not self._over.wait(pause):
            pause = _PAUSE
            with self._lock:
                if self._bars:
                    self._show()

    def _show(self) -> None:
        self._handle = _shown(self._display, self._handle, self._bars)


class ByteBar:
    """A bar of a transfer, to be given as its `progress`. Safe to share between threads.

    It stays as it is if the transfer fails.

    Args:
        display: As `notebook` returns it.
        name: Any text.
    """

    def __init__(self, display: Any, name: str) -> None:
        self._display = display
        self._handle: Any = None
        # Guards the handle and the time, which the threads of a transfer use.
        self._lock = threading.Lock()
        self._bar = _Bar(name, None, unit=shown_size)
        self._next = self._bar.started + _FIRST

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far a transfer is, at most some times a second."""
        with self._lock:
            self._bar.done, self._bar.total = done, total
            is_over = done == total
            if is_over:
                self._bar.ended = time.monotonic()
            if time.monotonic() >= self._next or (is_over and self._handle is not None):
                self._next = time.monotonic() + _PAUSE
                self._handle = _shown(self._display, self._handle, [self._bar])


def _shown(display: Any, handle: Any, bars: list[_Bar]) -> Any:
    """Show bars in the place of those that the handle has, if any; return the handle."""
    data = {"text/html": html_of(bars), "text/plain": text_of(bars)}
    if handle is None:
        return display(data, raw=True, display_id=True)
    handle.update(data, raw=True)
    return handle


def html_of(bars: list[_Bar]) -> str:
    """Return bars as HTML; their names may be any text."""
    return markup.table_of_cells((), map(_cells, bars))


def text_of(bars: list[_Bar]) -> str:
    """Return bars as text, for those who cannot show HTML."""
    return "\n".join("  ".join(filter(None, (markup.visible(bar.name), *_numbers(bar)))) for bar in bars)


def _cells(bar: _Bar) -> list[str]:
    place = f' value="{bar.done}" max="{bar.total}"' if bar.total else ""
    return [markup.escaped(bar.name), f"<progress{place}></progress>", *map(markup.escaped, _numbers(bar))]


def _numbers(bar: _Bar) -> list[str]:
    count = f"{bar.unit(bar.done)}/{'?' if bar.total is None else bar.unit(bar.total)}"
    return [count, f"{bar.seconds():.1f} s", bar.note]
