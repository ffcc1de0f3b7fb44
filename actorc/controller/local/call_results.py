"""Results and failures of calls, for a client that asks for them by the names of calls, as Lucas's own does.

That client ignores errors: for a failed call it takes the missing reference, passes it on, and asks for its value in
the end. So failures are remembered and reported there.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from .calls import CallKey

_KEPT_FAILURES: Final = 256
"""Number of failures; that client never says when a run is over, so the oldest are dropped."""


class CallResults:
    """Results and failures of calls, by ``session-instance-function``. For the event loop only."""

    def __init__(self) -> None:
        self._results: dict[str, str] = {}
        self._failures: OrderedDict[str, str] = OrderedDict()

    def returned(self, key: CallKey, object_id: str) -> None:
        """Record the id of a result."""
        self._failures.pop("-".join(key), None)
        self._results["-".join(key)] = object_id

    def failed(self, key: CallKey, reason: str) -> None:
        """Record a failure."""
        self.forget(key)
        self._failures["-".join(key)] = reason
        if len(self._failures) > _KEPT_FAILURES:
            self._failures.popitem(last=False)

    def forget(self, key: CallKey) -> None:
        """Forget a call."""
        self._results.pop("-".join(key), None)
        self._failures.pop("-".join(key), None)

    def clear(self) -> None:
        """Forget all of them."""
        self._results.clear()
        self._failures.clear()

    def object_id(self, name: str) -> str:
        """Return the id of the result of the call `name`; `name` itself if there is no such call."""
        return self._results.get(name, name)

    def failure(self, name: str = "") -> str:
        """Return why the call `name` failed, without a name the latest failure; empty if there is none."""
        if name:
            return self._failures.get(name, "")
        return next(reversed(self._failures.values()), "")
