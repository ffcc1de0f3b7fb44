"""Messages on a stream of bytes, each after its length. Knows nothing of what they say."""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct(">I")
_SCRATCH: Final = 256 << 10
_LARGEST: Final = 1 << 30
"""Bytes; twice what the platform lets a message have, so that garbage is not taken for the size of one."""


class DamagedMessageError(ValueError):
    """What arrived is no message; whoever sent it is not to be listened to any longer."""


def header(size: int) -> bytes:
    """Return what goes before a message of `size` bytes."""
    return HEADER.pack(size)


class FrameReader:
    """Cuts what arrives into messages; a large one is received where it stays, without a copy.

    Ask for `buffer`, fill it from its beginning, and tell `filled` how many bytes there are now.
    """

    def __init__(self) -> None:
        self._scratch = bytearray(_SCRATCH)
        self._begin = self._end = 0
        self._large: bytearray | None = None
        self._have = 0

    def buffer(self) -> memoryview:
        """Return where the next bytes belong."""
        if self._large is not None:
            return memoryview(self._large)[self._have :]
        return memoryview(self._scratch)[self._end :]

    def filled(self, count: int) -> list[bytes | bytearray]:
        """Take `count` bytes that were put into the buffer; return the messages that are complete now.

        Raises:
            DamagedMessageError: They are no messages.
        """
        if self._large is None:
            self._end += count
            return self._cut()
        self._have += count
        if self._have < len(self._large):
            return []
        complete, self._large = self._large, None
        return [complete]

    def _cut(self) -> list[bytes | bytearray]:
        complete: list[bytes | bytearray] = []
        view = memoryview(self._scratch)
        while self._end - self._begin >= HEADER.size:
            (size,) = HEADER.unpack_from(self._scratch, self._begin)
            if size > _LARGEST:
                raise DamagedMessageError(f"it says that it has {size:,} bytes")
            first = self._begin + HEADER.size
            if self._end - first >= size:
                complete.append(bytes(view[first : first + size]))
                self._begin = first + size
                continue
            if size > _SCRATCH - HEADER.size:
                self._receive_apart(size, view[first : self._end])
            break
        self._make_room(view)
        return complete

    def _receive_apart(self, size: int, received: memoryview) -> None:
        self._large, self._have = bytearray(size), len(received)
        self._large[: self._have] = received
        self._begin = self._end

    def _make_room(self, view: memoryview) -> None:
        rest = self._end - self._begin
        if self._begin:
            view[:rest] = bytes(view[self._begin : self._end])
            self._begin, self._end = 0, rest
