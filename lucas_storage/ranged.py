"""A stored object as a file that is read where it is needed."""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from actorc.storage.rules import MiB

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient

    from .manifest import Part

_BLOCK: Final = MiB


def open_ranged(client: StorageClient, bucket: str, key: str, *, size: int, etag: str) -> BinaryIO:
    """Return a seekable file over one generation of an object; every range is verified by its checksums.

    Args:
        client: Where the object is.
        bucket: Bucket name.
        key: Object key.
        size: Bytes of the object.
        etag: The generation; once another is in its place, reading raises.
    """
    return cast("BinaryIO", io.BufferedReader(_Ranged(client, bucket, key, size, etag), _BLOCK))


def open_parts(parts: tuple[Part, ...], fetch: Callable[[Part], bytes]) -> BinaryIO:
    """Return a seekable file over parts; each is fetched when it is read, and the last one is kept.

    Args:
        parts: In order.
        fetch: Returns the bytes of a part, verified.
    """
    return cast("BinaryIO", io.BufferedReader(_Parts(parts, fetch), _BLOCK))


class _Seekable(io.RawIOBase):
    """A file that is read somewhere else."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"a position in a file is 0 or more, not {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        target = memoryview(buffer).cast("B")
        length = min(len(target), self._size - self._position)
        if length <= 0:
            return 0
        data = self._read_at(self._position, length)
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    @abstractmethod
    def _read_at(self, position: int, length: int) -> bytes:
        """Return 1 to `length` bytes that begin at `position`, which lies within the file."""


class _Ranged(_Seekable):
    def __init__(self, client: StorageClient, bucket: str, key: str, size: int, etag: str) -> None:
        super().__init__(size)
        self._client = client
        self._name = (bucket, key)
        self._etag = etag

    def _read_at(self, position: int, length: int) -> bytes:
        return self._client.get_object(*self._name, offset=position, length=length, if_match=self._etag)


class _Parts(_Seekable):
    def __init__(self, parts: tuple[Part, ...], fetch: Callable[[Part], bytes]) -> None:
        self._parts = parts
        self._starts = list(accumulate((part.size for part in parts), initial=0))
        super().__init__(self._starts[-1])
        self._fetch = fetch
        self._held: tuple[int, bytes] = (-1, b"")

    def _read_at(self, position: int, length: int) -> bytes:
        index = bisect_right(self._starts, position) - 1
        if self._held[0] != index:
            self._held = (index, self._fetch(self._parts[index]))
        start = position - self._starts[index]
        return self._held[1][start : start + length]
