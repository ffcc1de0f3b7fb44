"""The end of a run, for steps that wait for it or must do something when it comes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class RunEnd:
    """The end of one run. Safe to share between threads."""

    def __init__(self) -> None:
        # Guards the acts, so that none is added after those of the end were taken, and each is called once.
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._acts: set[Callable[[], None]] = set()

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self._over.is_set()

    def come(self) -> None:
        """End the run: wake those that wait, and call what is to be done at the end."""
        with self._lock:
            self._over.set()
            acts, self._acts = self._acts, set()
        # Without the lock, since an act may wait for a thread that leaves `at_end`.
        for act in acts:
            act()

    def pause(self, seconds: float) -> bool:
        """Wait until the time is over, or the run; return whether the run goes on."""
        return not self._over.wait(seconds)

    @contextlib.contextmanager
    def at_end(self, act: Callable[[], None]) -> Iterator[None]:
        """Call `act`, on another thread, if the run ends while the body runs; at once if it has ended before."""
        with self._lock:
            is_over = self._over.is_set()
            if not is_over:
                self._acts.add(act)
        if is_over:
            act()
        try:
            yield
        finally:
            with self._lock:
                self._acts.discard(act)
