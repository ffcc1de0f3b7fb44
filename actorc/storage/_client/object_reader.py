"""Objects as files that are read: only what is asked for is fetched, and more of it when reading goes on."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from actorc.storage.errors import DamagedMessageError
from actorc.storage.files.seekable_reader import SeekableReader
from actorc.storage.models import ByteRange
from actorc.storage.rules import BLOCK_SIZE, KiB

from .read_ahead import LEAST, MOST, ReadAhead
from .recent_pieces import RecentPieces

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from actorc.storage._rpc.files.object_files import ObjectFiles

T = TypeVar("T")

Fetch: TypeAlias = "Callable[[int, int], Generator[bytes, None, None]]"
"""Returns the pieces of a range, given its first byte and its length."""

_BUFFER: Final = 64 * KiB
_UNTOLD: Final = 8 * KiB
"""Bytes that are taken to be needed where a caller does not tell, such as one that reads lines."""


def reader(
    fetch: Fetch, size: int, most: int | None, name: str, known: Mapping[int, bytes], generation: int
) -> ObjectReader:
    """Return a seekable binary file over the bytes of one generation of an object.

    Args:
        fetch: Reads a range of it.
        size: Size of the object in bytes.
        most: Bytes to fetch at once beyond those asked for; None: 8 MiB.
        name: The `name` of the file.
        known: Bytes of it that are here already, by position.
        generation: The generation.
    """
    ahead = ReadAhead(most or MOST)
    raw = RangeReader(fetch, size, ahead, name)
    for start, data in known.items():
        raw.keep(start, data)
    return ObjectReader(raw, min(most or _BUFFER, _BUFFER), generation)


def file_reader(files: ObjectFiles, name: str) -> ObjectReader:
    """Return a seekable binary file over an object whose files are open here; it closes them with itself."""
    return ObjectReader(_FilesReader(files, name), _BUFFER, files.info.generation)


class RangeReader(SeekableReader):
    """Reads an object by ranges, and keeps those of late. For one thread.

    Args:
        fetch: Reads a range of it.
        size: Size of the object in bytes.
        ahead: Decides how much to fetch.
        name: The `name` of the file.
    """

    def __init__(self, fetch: Fetch, size: int, ahead: ReadAhead, name: str) -> None:
        super().__init__(size)
        self._fetch = fetch
        self._ahead = ahead
        self._recent = RecentPieces()
        self._pieces: Generator[bytes, None, None] | None = None
        self._piece_at = self._fetched_to = 0
        self.wanted_to = 0
        """Position up to which the present call of the user needs bytes; 0: it does not tell."""
        self.name = name
        self.mode = "rb"

    def keep(self, start: int, data: bytes) -> None:
        """Keep bytes that came otherwise."""
        self._recent.add(start, data)
        self._ahead.fetched(len(data))

    def read_at(self, offset: int, size: int) -> memoryview:
        wanted = min(self.wanted_to - offset if self.wanted_to > offset else min(size, _UNTOLD), self._size - offset)
        # at least so many, so that many small reads come from the buffer above
        piece = (self._recent.at(offset) or self._fetched(offset, wanted))[: min(size, max(wanted, LEAST))]
        self._ahead.passed(offset, len(piece), wanted)
        return piece

    def readall(self) -> bytes:
        found: list[bytes | memoryview] = []
        at = self._position
        while at < self._size and (kept := self._recent.at(at)):
            found.append(kept)
            at += len(kept)
        # one request for all the rest, since its size is known
        self._drop()
        for piece in self._fetch(at, self._size - at) if at < self._size else ():
            found.append(piece)
            at += len(piece)
        if at < self._size:
            raise _ends_early()
        # last, or the bytes before a failure would be passed over by the next read
        self._position = at
        return b"".join(found)

    def _fetched(self, offset: int, wanted: int) -> memoryview:
        """Fetch the bytes at `offset`, and others as the read-ahead says; return those that came first."""
        if self._pieces is None or offset != self._piece_at:
            self._drop()
            first, end = self._ahead.span(offset, wanted)
            first, end = self._recent.gap(first, offset, offset + wanted, min(end, self._size))
            self._pieces, self._piece_at, self._fetched_to = self._fetch(first, end - first), first, end
        try:
            while self._piece_at <= offset:
                self._take(next(self._pieces, b""))
            if self._piece_at >= self._fetched_to:
                # to its end, or the server would see a call that was broken off
                next(self._pieces, None)
                self._drop()
        except BaseException:
            # it is over; the next read makes a request of its own, as after a restart of the server
            self._drop()
            raise
        return self._recent.at(offset)

    def _take(self, piece: bytes) -> None:
        if not piece:
            raise _ends_early()
        self.keep(self._piece_at, piece)
        self._piece_at += len(piece)

    def _drop(self) -> None:
        if self._pieces is not None:
            self._pieces.close()
        self._pieces = None

    def close(self) -> None:
        self._drop()
        super().close()


def _ends_early() -> DamagedMessageError:
    return DamagedMessageError("the object has fewer bytes now than when it was opened; open it again")


class _FilesReader(RangeReader):
    """Reads an object whose files are open here, by blocks, since it is blocks that are verified. For one thread."""

    def __init__(self, files: ObjectFiles, name: str) -> None:
        ahead = ReadAhead(BLOCK_SIZE, BLOCK_SIZE)
        super().__init__(lambda offset, length: files.pieces(ByteRange(offset, length)), files.info.size, ahead, name)
        self._files = files

    def close(self) -> None:
        self._files.close()
        super().close()


class ObjectReader(io.BufferedReader):
    """An object, open for reading. Any thread may use it, one after the other.

    It is a buffered reader whose base is told how much a call needs, so that it fetches neither more nor less. A `read`
    or `readinto` that fails leaves the position where it was, so that it can be made again.
    """

    raw: RangeReader

    def __init__(self, raw: RangeReader, buffer_size: int, generation: int) -> None:
        super().__init__(raw, buffer_size)
        self.generation = generation
        """The generation of the object to which all bytes belong."""

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, `size` at most, all if it is negative; fewer only at the end."""
        return self._told(super().read, size, 0 if size is None else size)

    def readinto(self, buffer: Buffer) -> int:
        """Fill `buffer`, which stays the caller's, with the next bytes; return how many, fewer only at the end."""
        return self._told(super().readinto, buffer, memoryview(buffer).nbytes)

    def _told(self, call: Callable[[Any], T], argument: object, wanted: int) -> T:
        """Make a call that needs as many bytes; 0 or fewer: it does not tell."""
        begin = self.tell()
        self.raw.wanted_to = begin + wanted
        try:
            return call(argument)
        except BaseException:
            with suppress(ValueError):  # another thread has closed it
                # by way of the end, which only the base knows: where an interrupted call has left that is not known
                self.seek(0, os.SEEK_END)
                self.seek(begin)
            raise
        finally:
            self.raw.wanted_to = 0
