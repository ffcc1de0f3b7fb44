"""The steps of a download that are missing, shared out among its streams. Pure, but for a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import pairwise


class Run:
    """Consecutive steps that one stream fetches, from the first on; those at the end may be given to another stream."""

    def __init__(self, first: int, stop: int, *, taken: bool = False) -> None:
        self.next = first
        """The first step that no stream has begun."""
        self.stop = stop
        """The step behind the last."""
        self.taken = taken
        """Whether a stream fetches it."""

    @property
    def left(self) -> int:
        """Steps that no stream has begun."""
        return self.stop - self.next


class StepRuns:
    """Shares out steps, so that a single stream fetches all in order, and further ones take equal parts of the rest.

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

    def take(self, streams: int) -> list[Run]:
        """Return runs for at most so many more streams.

        They are the longest that no stream has, and then parts that others give up: the longest are cut to parts of
        equal length, all at once, so that each stream knows where it ends before it begins.
        """
        with self._lock:
            free = sorted((run for run in self._runs if not run.taken), key=lambda run: run.left, reverse=True)
            runs = [run for run in free[:streams] if run.left]
            for run in runs:
                run.taken = True
            for run, parts in self._cuts(streams - len(runs)).items():
                runs += self._cut(run, parts)
            return runs

    def _cuts(self, streams: int) -> dict[Run, int]:
        """Return into how many parts runs are cut for so many more streams."""
        cuts = {run: 1 for run in self._runs if run.taken and run.left}
        for _ in range(streams if cuts else 0):
            longest = max(cuts, key=lambda run: run.left / cuts[run])
            # a single step is left to the stream that is about to fetch it
            if longest.left <= cuts[longest]:
                break
            cuts[longest] += 1
        return cuts

    def _cut(self, run: Run, parts: int) -> list[Run]:
        """Cut a run, and return its parts but the first, which it keeps."""
        edges = [run.stop - run.left * (parts - part) // parts for part in range(1, parts + 1)]
        cut = [Run(first, stop, taken=True) for first, stop in pairwise(edges)]
        run.stop = edges[0]
        self._runs += cut
        return cut

    def begin(self, run: Run) -> int | None:
        """Return the next step of a run, which is begun; None if its stream must end, and leaves the rest to others."""
        with self._lock:
            if not run.left or sum(run.taken for run in self._runs) > self._most():
                run.taken = False
                return None
            run.next += 1
            return run.next - 1
