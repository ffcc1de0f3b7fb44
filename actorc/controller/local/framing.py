"""Framing of messages on a byte stream, each after its length; independent of their content."""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct(">I")
_SCRATCH: Final = 256 << 10
_LARGEST: Final = 1 << 30
"""Bytes; twice the platform's limit, so that a larger length is recognized as garbage before memory is allocated."""


class DamagedMessageError(ValueError):
    """The bytes received are no message; the connection to their sender must be ended."""


def header(size: int) -> bytes:
    """Return the header of a message of `size` bytes."""
    return HEADER.pack(size)


class FrameReader:
    """Cuts received bytes into messages; a large message is received into its own buffer, without a copy.

    Fill `buffer` from its beginning, then pass the number of bytes to `filled`. For one thread. A small message is a
    copy; a large one is the buffer itself, which the caller owns from then on. A view from `buffer` is valid until
    `filled`.
    """

    def __init__(self) -> None:
        self._scratch = bytearray(_SCRATCH)
        self._begin = self._end = 0
        self._large: bytearray | None = None
        self._have = 0

    def buffer(self) -> memoryview:
        """Return the space for the next bytes."""
        if self._large is not None:
            return memoryview(self._large)[self._have :]
        return memoryview(self._scratch)[self._end :]

    def filled(self, count: int) -> list[bytes | bytearray]:
        """Accept `count` bytes that were put into `buffer`; return the messages that are complete now.

        Raises:
            DamagedMessageError: A length is impossible.
        """
        if self._large is None:
            self._end += count
            return self._cut()
        self._have += count
        if self._have < len(self._large):
            return []
        # handed over: the next message starts in the scratch buffer, so this one is never written again
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
                # copied, since the scratch buffer is reused for the next bytes
                complete.append(bytes(view[first : first + size]))
                self._begin = first + size
                continue
            # the rest of a message that cannot fit goes straight into its own buffer
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
