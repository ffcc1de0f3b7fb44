"""Bodies: the bytes of one object to be stored, of an encoded value or of a local file, and their checksums.

Digest and checksum are computed before anything is sent, since the digest is the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from fastcrc import crc32

from actorc.storage.client import StorageClient
from actorc.storage.errors import IntegrityError
from actorc.storage.files.unsized_files import refuse_irregular
from actorc.storage.models import PutResult
from actorc.storage.rules import MAX_INLINE_SIZE, MiB
from lucas_storage.formats.base import Buffer, Encoded
from lucas_storage.refs import digest_of

Fingerprint: TypeAlias = tuple[int, int, int]


class Body(Protocol):
    """Bytes that can be measured before they are sent."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    @property
    def digest(self) -> str:
        """``sha256:`` and the hexadecimal digest."""

    def crc32c(self) -> int:
        """Return the CRC-32C of all bytes, unsigned."""

    def send(self, client: StorageClient, bucket: str, key: str, content_type: str, **options: Any) -> PutResult:
        """Store the bytes, as a stream if they do not fit into one message. `options` are those of `put_object`."""


class EncodedBody:
    """An encoded value. Its buffers stay the caller's, and must not change until the body is stored."""

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded
        self.size = encoded.size

    @cached_property
    def digest(self) -> str:
        """``sha256:`` and the hexadecimal digest."""
        return self._encoded.digest()

    def crc32c(self) -> int:
        """Return the CRC-32C of all bytes, unsigned."""
        return _crc32c(self._encoded.chunks(MiB))

    def data(self) -> bytes:
        """Return a copy of the bytes, which should be few."""
        return bytes(self._encoded)

    def send(self, client: StorageClient, bucket: str, key: str, content_type: str, **options: Any) -> PutResult:
        """Store the bytes, in one call if they fit."""
        if self.size <= MAX_INLINE_SIZE:
            # One copy of at most an inline message, and one call instead of a stream.
            return client.put_object(bucket, key, bytes(self._encoded), content_type, **options)
        # The buffers as they are: nothing is copied, and a broken upload can begin again.
        return client.upload_from_stream(bucket, key, self._encoded.parts, content_type, **options)


class FileBody:
    """A local file, which must not change until it is stored.

    Raises:
        FileNotFoundError: There is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Taken before the first read: a change between digest and upload would store bytes under another's digest.
        self._before = fingerprint(path)
        self.size = self._before[0]

    @cached_property
    def digest(self) -> str:
        """``sha256:`` and the hexadecimal digest."""
        return digest_of(_pieces(self._path))

    def crc32c(self) -> int:
        """Return the CRC-32C of all bytes, unsigned."""
        return _crc32c(_pieces(self._path))

    def send(self, client: StorageClient, bucket: str, key: str, content_type: str, **options: Any) -> PutResult:
        """Store the file.

        Raises:
            IntegrityError: It was written to since it was measured; every reader refuses the stored object.
        """
        result = client.upload_file(bucket, key, self._path, content_type, **options)
        check_steady(self._path, self._before)
        return result


def fingerprint(path: Path) -> Fingerprint:
    """Return size, mtime and inode, of which a write or a replacement changes at least one.

    Raises:
        InvalidParameterError: It is no regular file, which may never come to an end.
    """
    status = path.stat()
    refuse_irregular(status, path)
    return status.st_size, status.st_mtime_ns, status.st_ino


def check_steady(path: Path, before: Fingerprint) -> None:
    """Check that a file is unchanged.

    Raises:
        IntegrityError: It was written to since `fingerprint` returned `before`.
    """
    if fingerprint(path) != before:
        raise IntegrityError(
            f"the file {path.name!r} was written to while it was uploaded; return it when it is complete"
        )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(MiB):
            yield piece


def _crc32c(pieces: Iterator[Buffer]) -> int:
    total = 0
    for piece in pieces:
        total = crc32.iscsi(piece, total)
    return total
