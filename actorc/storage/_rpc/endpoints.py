"""Which of several servers is called: the one that works, and when it does not, the next."""

from __future__ import annotations

from collections.abc import Sequence


class Endpoints:
    """The servers of one store, one of which is present. Safe to share between threads, usable in a forked child.

    Args:
        endpoints: Each once; calls begin with the first.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._next = dict(zip(endpoints, (*endpoints[1:], endpoints[0]), strict=True))
        self.present = endpoints[0]
        """Where the next attempt goes."""

    def __len__(self) -> int:
        return len(self._next)

    def __str__(self) -> str:
        return ", ".join(self._next)

    def leave(self, endpoint: str) -> None:
        """Make the one after `endpoint` present; nothing if another call has left it already."""
        # threads that leave the same one at once all set the same, so no lock is needed
        if self.present == endpoint:
            self.present = self._next[endpoint]
