"""What an engine promises.

Engines hold bytes and no rules: `store.py` has checked names, sizes, checksums and permissions before it calls one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from actorc.storage.models import (
    ANY,
    WHOLE,
    BucketInfo,
    ByteRange,
    Chunk,
    Condition,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class Writer(ABC):
    """One object on its way in. A context manager that aborts unless `commit` returned."""

    @abstractmethod
    def write(self, data: bytes | memoryview, crc32c: int) -> None:
        """Append `data`, whose checksum the caller has verified to be `crc32c`.

        The writer may keep no reference to `data` after it returns.
        """

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes written so far."""

    @abstractmethod
    def checksum(self) -> int:
        """Return the CRC-32C of everything written so far."""

    @abstractmethod
    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        """Publish the object; when this returns it is visible and, if the engine is durable, on disk.

        If `idempotency_key` is that of an earlier commit to the same bucket and key, nothing changes and the result
        of that one is returned, whatever the condition says now.

        Raises:
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the present object, or there is none.
            BucketNotFoundError: The bucket is gone.
            ResourceExhaustedError: The disk is full.
        """

    @abstractmethod
    def abort(self) -> None:
        """Drop what was written. Never raises; does nothing after a commit or a first abort."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()


class ObjectReader(ABC):
    """One generation of one object, open for reading. A context manager.

    Overwriting or deleting the object meanwhile does not disturb it.
    """

    info: ObjectInfo

    @abstractmethod
    def chunks(self, part: ByteRange = WHOLE) -> Iterator[Chunk]:
        """Yield the bytes of `part` in order, at most `MAX_CHUNK_SIZE` in each, with a checksum proven from the disk.

        Raises:
            IntegrityError: The stored bytes do not match their checksum; none of the wrong ones were yielded.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the object. Never raises."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Engine(ABC):
    """A place where bytes rest.

    Promises, proved for every engine by ``tests/contract``:

    * commit is all or nothing: a reader sees the old object or the new one, never a mix or a part;
    * what a mutating method returned for survives a crash, if `durable`;
    * a reader is a snapshot;
    * pages hold names in byte order of their UTF-8 form, each once;
    * any method may be called from any thread, and a `Writer` or `ObjectReader` from one thread at a time;
    * generations grow strictly over all objects, also across a restart.

    Every method that names a bucket raises `BucketNotFoundError` if there is none.
    """

    name: ClassVar[str]
    durable: ClassVar[bool]
    capabilities: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        """Make a bucket, or return the one there is if `exist_ok`.

        Raises:
            AlreadyExistsError: It exists, was not made by a call with the same `idempotency_key`, and not `exist_ok`.
        """

    @abstractmethod
    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        """Remove an empty bucket.

        Raises:
            BucketNotEmptyError: It holds objects.
        """

    @abstractmethod
    def head_bucket(self, bucket: str) -> BucketInfo:
        """Describe a bucket."""

    @abstractmethod
    def buckets(self) -> list[BucketInfo]:
        """Return all buckets in order of name."""

    @abstractmethod
    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> Writer:
        """Begin an object; `declared_size` in bytes lets a full disk be found before the bytes are sent.

        Raises:
            ResourceExhaustedError: The disk is full.
        """

    @abstractmethod
    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Describe the present object.

        Raises:
            ObjectNotFoundError: There is none.
        """

    @abstractmethod
    def read(self, bucket: str, key: str, *, generation: int | None = None) -> ObjectReader:
        """Open the present object, or one generation of it.

        A generation that was replaced stays readable for a while, if the engine has ``retention`` among its
        capabilities; one whose object was deleted does not.

        Raises:
            ObjectNotFoundError: There is no object, or no longer that generation.
        """

    @abstractmethod
    def delete(self, bucket: str, key: str, condition: Condition = ANY, *, idempotency_key: str = "") -> bool:
        """Remove the object; return whether there was one.

        Raises:
            PreconditionFailedError: `condition.if_match` is not the etag of the present object, or there is none.
        """

    @abstractmethod
    def page(self, query: ListQuery) -> ObjectPage:
        """Return the first `query.limit` names behind `query.after`, in time proportional to that page.

        A common prefix is ``prefix`` plus everything up to and including the first `query.delimiter` behind it.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what is under way and let go of the medium; the engine is of no use afterwards."""
