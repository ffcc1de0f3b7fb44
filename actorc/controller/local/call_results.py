"""What became of calls, for a client that asks for results by the names of calls, as Lucas's own does.

That client takes no notice of errors: of a call that failed it takes nothing for the reference, passes that on, and
asks for the value of it in the end. So failures are remembered, and told where it looks.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from .calls import CallKey

_KEPT_FAILURES: Final = 256
"""That client never says that a run is over."""


class Outcomes:
    """Results and failures of calls, by ``session-instance-function``."""

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
        """Return the id of the result of the call of that name, or the name itself."""
        return self._results.get(name, name)

    def failure(self, name: str = "") -> str:
        """Return why the call of that name failed, or the latest one if it has none; nothing if it did not."""
        if name:
            return self._failures.get(name, "")
        return next(reversed(self._failures.values()), "")
