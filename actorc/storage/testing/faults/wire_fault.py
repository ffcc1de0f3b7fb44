"""Faults of the network: what becomes of bytes on their way. Pure: no sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from .fault import Fault

Kind: TypeAlias = Literal["cut", "reset", "stall", "flip", "repeat"]
Direction: TypeAlias = Literal["up", "down"]
"""From client to server, or back."""

_PATIENCE: Final = 20.0


class CutError(ConnectionError):
    """The connection ends here.

    Attributes:
        passed: The last bytes that are passed on.
        resets: Whether it ends by a reset, with which bytes on their way may be lost.
    """

    def __init__(self, passed: bytes, *, resets: bool) -> None:
        super().__init__("the connection was cut")
        self.passed = passed
        self.resets = resets


class WireFault(Fault):
    """A fault of one direction, of one connection or of several together. Any thread may call it.

    Args:
        kind: What happens: the connection is cut in order, or by a ``reset``; nothing more is passed on until the fault
            ends (``stall``); one bit is flipped; or the bytes that came at once are passed on twice (``repeat``).
        after: Bytes that pass before; counted anew each time it strikes.
        times: How often it strikes; None: until it ends. A stall goes on until it ends.
        heal: Called once when it ends.

    Attributes:
        after: The same; may be changed.
        struck: How often it has struck.
    """

    def __init__(
        self, kind: Kind, after: int = 0, *, times: int | None = 1, heal: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(heal)
        self.after = after
        self.struck = 0
        self._kind = kind
        self._left = times
        self._seen = 0
        self._is_over = False
        # guards the fields above, which the threads of several connections change, and tells of changes to them
        self._changed = threading.Condition()

    def end(self) -> None:
        """End the fault; bytes that it withheld are passed on."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        super().end()

    def wait_until_struck(self, timeout: float = _PATIENCE) -> bool:
        """Wait until it has struck, `timeout` seconds at most; return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self.struck > 0, timeout)

    def apply(self, data: bytes) -> bytes:
        """Return the bytes to pass on in place of the next ones.

        Raises:
            CutError: The connection ends.
        """
        with self._changed:
            start, self._seen = self._seen, self._seen + len(data)
            if self._is_over or self._left == 0 or self._seen <= self.after:
                return data
            self._strike()
            # a stall that has begun withholds whatever comes later as well
            return self._altered(data, max(0, self.after - start))

    def _strike(self) -> None:
        self.struck += 1
        self._changed.notify_all()
        if self._kind != "stall":
            self._seen = 0
            self._left = None if self._left is None else self._left - 1

    def _altered(self, data: bytes, at: int) -> bytes:
        if self._kind == "flip":
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        if self._kind == "repeat":
            return data * 2
        if self._kind == "stall":
            self._changed.wait_for(lambda: self._is_over)
            return data
        raise CutError(data[:at], resets=self._kind == "reset")
