"""The upload of one object or part: checks of its chunks, and of the commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Self, TypeVar

from actorc.storage._wire.checksum import crc32c as checksum
from actorc.storage.errors import IntegrityError, InvalidParameterError, StorageError
from actorc.storage.models import Chunk
from actorc.storage.rules import MAX_CHUNK_SIZE, MAX_OBJECT_SIZE, check_range
from actorc.storage.server.engines.readers_writers import Writer

from . import passed_files

T = TypeVar("T")


class Upload(Generic[T]):
    """The upload of one object or part. A context manager that drops it unless `commit` returned.

    For one thread at a time.
    """

    def __init__(self, writer: Writer, bucket: str, key: str, publish: Callable[[], T]) -> None:
        self._writer = writer
        self._bucket = bucket
        self._key = key
        self._publish = publish

    def write(self, chunk: Chunk) -> None:
        """Append a chunk, whose buffer is not kept.

        Raises:
            InvalidParameterError: It is too long, or does not begin where the last one ended.
            IntegrityError: Its bytes do not match its checksum.
            ResourceExhaustedError: The disk is full.
        """
        with name_in_errors(self._bucket, self._key):
            _check_chunk(chunk, self._writer.size)
            if len(chunk.data):
                self._writer.write(chunk.data, chunk.crc32c)

    def import_file(self, descriptor: int, offset: int, length: int) -> int:
        """Append bytes of a file of another process, and return how many bytes there are by now.

        Args:
            descriptor: The file; it stays the caller's.
            offset: Position of the first byte in it.
            length: Number of bytes.

        Raises:
            InvalidParameterError: It is no file that can be read, or the range is none.
            UnsupportedError: It is not of a file system of this machine; send its bytes.
            IntegrityError: It ends before.
            ResourceExhaustedError: The disk is full.
        """
        with name_in_errors(self._bucket, self._key):
            check_range(offset, length)
            check_size(self._writer.size + length)
            passed_files.check_importable(descriptor)
            self._writer.import_file(descriptor, offset, length)
        return self._writer.size

    def commit_imported(self, *, size: int) -> T:
        """Publish the object or part like `commit`; only this side has summed what was imported."""
        return self.commit(size=size, crc32c=self._writer.checksum())

    def commit(self, *, size: int, crc32c: int) -> T:
        """Publish the object or part, and return its description.

        Args:
            size: Number of bytes that the caller has sent.
            crc32c: CRC-32C of all of them.

        Raises:
            IntegrityError: Other bytes have arrived; nothing was stored.
            AlreadyExistsError: The key must be free and is taken.
            PreconditionFailedError: The object to be replaced is another one by now.
            UploadNotFoundError: The upload that the part belongs to is gone.
        """
        with name_in_errors(self._bucket, self._key):
            # the commit repeats size and checksum: an upload from which frames are missing must not become an object
            if (size, crc32c) != (self._writer.size, self._writer.checksum()):
                raise IntegrityError(
                    f"{self._writer.size} bytes arrived and were not stored, because size or checksum of the commit "
                    f"message ({size} bytes) disagree; send the object again"
                )
            return self._publish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.abort()


class name_in_errors:  # noqa: N801 - used as a function
    """A block that adds bucket and key to the errors that are raised within it.

    A class, since every call has such a block, and one made of a generator takes four times as long.
    """

    __slots__ = ("_bucket", "_key")

    def __init__(self, bucket: str, key: str | None = None) -> None:
        self._bucket = bucket
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, StorageError):
            # names that are set already are more precise, as those of a copy's source
            error.bucket = error.bucket or self._bucket
            error.key = error.key or self._key


def check_size(size: int | None) -> None:
    """Raise if `size` is not the size of an object.

    Raises:
        InvalidParameterError: It is negative or above `MAX_OBJECT_SIZE`.
    """
    if size is not None and not 0 <= size <= MAX_OBJECT_SIZE:
        raise InvalidParameterError(
            f"{size} is no size of an object; it has 0 to {MAX_OBJECT_SIZE} bytes, divide a larger one"
        )


def _check_chunk(chunk: Chunk, expected: int) -> None:
    length = len(chunk.data)
    if length > MAX_CHUNK_SIZE:
        raise InvalidParameterError(f"a chunk of {length} bytes is too long; send at most {MAX_CHUNK_SIZE}")
    if chunk.offset != expected:
        raise InvalidParameterError(f"the chunk begins at byte {chunk.offset}; send the bytes from {expected} on next")
    check_size(expected + length)
    check_bytes(chunk.data, chunk.crc32c)


def check_bytes(data: bytes | memoryview, crc32c: int) -> None:
    """Raise if bytes do not match the checksum that they came with.

    Raises:
        IntegrityError: They do not; retryable.
    """
    if checksum(data) != crc32c:
        raise IntegrityError("the bytes arrived damaged and were not stored; send them again", retryable=True)
