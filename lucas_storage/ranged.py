"""A stored object as a file that is read where it is needed."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from actorc.storage.rules import MiB

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient

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


class _Ranged(io.RawIOBase):
    def __init__(self, client: StorageClient, bucket: str, key: str, size: int, etag: str) -> None:
        self._client = client
        self._name = (bucket, key)
        self._size = size
        self._etag = etag
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
        data = self._client.get_object(*self._name, offset=self._position, length=length, if_match=self._etag)
        target[: len(data)] = data
        self._position += len(data)
        return len(data)
