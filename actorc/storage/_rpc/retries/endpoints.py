"""The servers of one store, and the one that calls go to until it fails."""

from __future__ import annotations

from collections.abc import Sequence


class Endpoints:
    """A ring of servers with one current. Any thread may call it, also in a child after a fork.

    Args:
        endpoints: ``host:port`` of each, without duplicates; the first is current at the beginning.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._next = dict(zip(endpoints, (*endpoints[1:], endpoints[0]), strict=True))
        self.current = endpoints[0]
        """The current server, to which the next attempt goes."""

    def __len__(self) -> int:
        return len(self._next)

    def __str__(self) -> str:
        return ", ".join(self._next)

    def switch_from(self, endpoint: str) -> None:
        """Make the successor of `endpoint` current, unless another call has switched already."""
        # no lock: threads that leave the same server at once all set the same successor
        if self.current == endpoint:
            self.current = self._next[endpoint]
