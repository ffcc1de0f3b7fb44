"""What an engine is written and read by: writers of objects and parts, and readers of objects."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from actorc.storage._wire.checksum import crc32c as checksum
from actorc.storage.models import (
    ANY,
    WHOLE,
    ByteRange,
    Chunk,
    Condition,
    ObjectAttributes,
    ObjectInfo,
    PartInfo,
)
from actorc.storage.rules import BLOCK_SIZE

from .errors import file_too_short


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSegment:
    """Consecutive bytes of an object, which are the first of an immutable file, or are here."""

    size: int
    """Bytes."""
    sums: Sequence[int]
    """CRC-32C of every block."""
    descriptor: int = -1
    """The file, open for reading; -1: there is none."""
    is_unchanged: bool = False
    """Whether nothing has written to the file since it was stored or verified, by its inode, size, mtime and ctime."""
    data: bytes | None = None
    """The bytes, if there is no file."""


class Writer(ABC):
    """Collects the bytes of an object or part. A context manager that aborts unless they were committed.

    For one thread at a time.
    """

    @abstractmethod
    def write(self, data: bytes | memoryview, crc32c: int) -> None:
        """Append `data`, whose checksum the caller has verified to be `crc32c`.

        The buffer belongs to the caller: the writer keeps no reference to it after the call.
        """

    def import_file(self, descriptor: int, offset: int, length: int) -> None:
        """Append bytes of a regular file, and sum the copy: what the file becomes meanwhile does not matter.

        Args:
            descriptor: The file, open for reading; it stays the caller's.
            offset: Position of the first byte in it.
            length: Number of bytes.

        Raises:
            IntegrityError: The file ends before.
            ResourceExhaustedError: The disk is full.
        """
        for start in range(offset, offset + length, BLOCK_SIZE):
            expected = min(BLOCK_SIZE, offset + length - start)
            data = os.pread(descriptor, expected, start)
            if len(data) < expected:
                raise file_too_short()
            self.write(data, checksum(data))

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes written so far."""

    @abstractmethod
    def checksum(self) -> int:
        """Return the CRC-32C of everything written so far."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the bytes. Never raises; does nothing after a commit or an earlier abort."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


class ObjectWriter(Writer):
    """The writer of one object."""

    @abstractmethod
    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        """Publish the object; when this returns it is visible and, if the engine is durable, on disk.

        The seconds of `attributes.ttl` count from the commit. If an earlier commit to the same bucket and key had this
        `idempotency_key`, nothing changes and its result is returned, whatever the condition is now.

        Raises:
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the current object, or there is none.
            BucketNotFoundError: The bucket is gone.
            ResourceExhaustedError: The disk is full.
        """


class PartWriter(Writer):
    """The writer of one part of a multipart upload."""

    @abstractmethod
    def commit(self, *, idempotency_key: str = "") -> PartInfo:
        """Add the part to its upload, replacing an earlier one of the same number; durable like an object.

        Raises:
            UploadNotFoundError: The upload was completed, aborted or swept meanwhile.
            ResourceExhaustedError: The disk is full.
        """


class ObjectReader(ABC):
    """An open generation of an object. A context manager. For one thread at a time.

    An overwrite or delete meanwhile does not disturb it.
    """

    info: ObjectInfo

    @abstractmethod
    def chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        """Yield the bytes of `part` in order, at most `MAX_CHUNK_SIZE` in each chunk, with a verified checksum.

        Raises:
            IntegrityError: The stored bytes do not match their checksum; no wrong byte was yielded.
        """

    def recorded_chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        """Yield bytes as `chunks` does, for a caller that compares each chunk with its checksum.

        A chunk may be unverified if its checksum is the one that was recorded when its bytes were stored. An engine
        that records none has no need of this method.
        """
        return self.chunks(part)

    def files(self) -> Sequence[FileSegment] | None:
        """Return the files with the bytes of the object, in order; None: ask for `chunks`.

        An engine that keeps objects in immutable files may have them, though not for every object. The descriptors are
        read-only and may be given to another process; those of the reader are valid until `close`.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Release the object. Never raises."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
