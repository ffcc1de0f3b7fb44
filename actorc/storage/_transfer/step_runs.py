"""The steps of a download that are missing, shared out among its streams. Pure, but for a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class Run:
    """Consecutive steps that one stream fetches, from the first on; those at the end may be given to another stream."""

    def __init__(self, first: int, stop: int) -> None:
        self.next = first
        """The first step that no stream has begun."""
        self.stop = stop
        """The step behind the last."""
        self.taken = False
        """Whether a stream fetches it."""

    @property
    def left(self) -> int:
        """Steps that no stream has begun."""
        return self.stop - self.next


class StepRuns:
    """Shares out steps, so that a single stream fetches all in order, and further ones take half of what is left.

    Any thread may call it.

    Args:
        missing: The steps, in order.
        most: Returns how many streams there may be; further ones end with the step that they fetch.
    """

    def __init__(self, missing: Iterable[int], most: Callable[[], int]) -> None:
        self._most = most
        self._lock = threading.Lock()  # guards the runs: streams advance and split them on threads of their own
        self._runs: list[Run] = []
        for step in missing:
            if self._runs and self._runs[-1].stop == step:
                self._runs[-1].stop += 1
            else:
                self._runs.append(Run(step, step + 1))

    def take(self) -> Run | None:
        """Return a run for one more stream: the longest that no stream has, else the second half of the longest."""
        with self._lock:
            free = [run for run in self._runs if not run.taken and run.left]
            if free:
                run = max(free, key=lambda run: run.left)
            else:
                longest = max(self._runs, key=lambda run: run.left, default=None)
                # a single step is left to the stream that is about to fetch it
                if longest is None or longest.left < 2:
                    return None
                middle = longest.stop - longest.left // 2
                run, longest.stop = Run(middle, longest.stop), middle
                self._runs.append(run)
            run.taken = True
            return run

    def begin(self, run: Run) -> int | None:
        """Return the next step of a run, which is begun; None if its stream must end, and leaves the rest to others."""
        with self._lock:
            if not run.left or sum(run.taken for run in self._runs) > self._most():
                run.taken = False
                return None
            run.next += 1
            return run.next - 1
