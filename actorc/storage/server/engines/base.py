"""What an engine promises.

Engines hold bytes and no rules: `server/store` has checked names, sizes, checksums and permissions before it calls one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Final, NamedTuple, Self

from actorc.storage.models import (
    ANY,
    WHOLE,
    BucketInfo,
    ByteRange,
    Chunk,
    Condition,
    DeleteResult,
    ListQuery,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
    PartInfo,
    UploadPage,
)

CAPABILITIES: Final[Mapping[str, str]] = {
    "answers": "a call repeated with its idempotency key gets the first answer, whatever happened in between",
    "any-key": "every key that the rules allow can be stored",
    "constant-copy": "copying an object and completing an upload cost the same whatever the number of bytes",
    "delete-if-match": "an object is deleted only if it has a certain etag",
    "if-absent": "an object is written only where there is none",
    "if-match": "an object is replaced only if it has a certain etag",
    "long-metadata": "metadata up to the limit of the rules is stored, and a content type in any script",
    "retention": "a replaced generation stays readable for a while",
    "snapshots": "an open reader is not disturbed by an overwrite or a delete, whatever it reads",
    "ttl": "an object can be told to be gone after a time",
    "verified-ranges": "every chunk of a part of an object is proven against what was stored with it",
}
"""What an engine may lack. What it lacks it refuses, or does to the extent that its own description says."""

EVERYTHING_BUT_RETENTION: Final = frozenset(CAPABILITIES) - {"retention"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySource:
    """The generation of an object that a copy is made of."""

    bucket: str
    key: str
    generation: int | None = None
    """None: the present one."""
    if_match: str | None = None
    """The etag it must have."""


class PartChoice(NamedTuple):
    """A part as the caller names it who completes an upload."""

    number: int
    etag: str


class Writer(ABC):
    """Bytes on their way in. A context manager that aborts unless they were committed."""

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
    def abort(self) -> None:
        """Drop what was written. Never raises; does nothing after a commit or a first abort."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()


class ObjectWriter(Writer):
    """One object on its way in."""

    @abstractmethod
    def commit(
        self, attributes: ObjectAttributes, condition: Condition = ANY, *, idempotency_key: str = ""
    ) -> ObjectInfo:
        """Publish the object; when this returns it is visible and, if the engine is durable, on disk.

        The seconds of `attributes.ttl` are counted from here. If `idempotency_key` is that of an earlier commit to the
        same bucket and key, nothing changes and the result of that one is returned, whatever the condition says now.

        Raises:
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the present object, or there is none.
            BucketNotFoundError: The bucket is gone.
            ResourceExhaustedError: The disk is full.
        """


class PartWriter(Writer):
    """One part of a multipart upload on its way in."""

    @abstractmethod
    def commit(self, *, idempotency_key: str = "") -> PartInfo:
        """Add the part to its upload, in place of an earlier one of its number; durable like an object.

        Raises:
            UploadNotFoundError: The upload was completed, aborted or swept meanwhile.
            ResourceExhaustedError: The disk is full.
        """


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
    * generations grow strictly over all objects, also across a restart;
    * an object whose `ttl` has passed is gone for every method, whenever its bytes are removed;
    * a mutating call repeated with its `idempotency_key` within a day changes nothing and gets the first answer; one
      that asks for something else with the key of an earlier one raises `IdempotencyKeyReusedError`;
    * multipart uploads that receive no part for long enough are removed in time.

    Some of it an engine may lack: what is in `CAPABILITIES` and not in its own. A caller who asks for that gets
    `UnsupportedError`, or for a name or a value `InvalidParameterError`.

    Every method that names a bucket raises `BucketNotFoundError` if there is none.
    """

    name: ClassVar[str]
    durable: bool
    capabilities: frozenset[str] = frozenset()
    """Names of `CAPABILITIES`."""

    @abstractmethod
    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        """Make a bucket, or return the one there is if `exist_ok`.

        Raises:
            AlreadyExistsError: It exists, was not made by a call with the same `idempotency_key`, and not `exist_ok`.
        """

    @abstractmethod
    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        """Remove an empty bucket, and with it the uploads under way in it.

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
    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> ObjectWriter:
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
    def read(self, bucket: str, key: str, *, generation: int | None = None, ahead: ByteRange = WHOLE) -> ObjectReader:
        """Open the present object, or one generation of it.

        Args:
            bucket: Its bucket.
            key: Its key.
            generation: The one to read; None: the present one.
            ahead: What will be read first, for an engine that can fetch it with the description.

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
    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        """Remove objects, each for itself; return what became of each key, in order."""

    @abstractmethod
    def copy(
        self,
        source: CopySource,
        bucket: str,
        key: str,
        attributes: ObjectAttributes | None = None,
        condition: Condition = ANY,
        *,
        ttl: int | None = None,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        """Make a new object of the bytes of `source`, which may be the one it replaces; all or nothing, like a commit.

        Args:
            source: What is copied.
            bucket: Where the copy goes.
            key: Where the copy goes.
            attributes: Its content type and metadata; None: those of the source. Their `ttl` does not count.
            condition: Judged on the object that is there.
            ttl: Seconds, counted from here; that of the source is not inherited.
            idempotency_key: Unique per logical copy.

        Raises:
            ObjectNotFoundError: There is no such source; it names its bucket and key.
            BucketNotFoundError: One of the buckets is missing; it says which, the source's first.
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: An etag is not the one demanded, of the source or of the object that is there.
        """

    @abstractmethod
    def create_upload(
        self,
        bucket: str,
        key: str,
        attributes: ObjectAttributes,
        condition: Condition = ANY,
        *,
        idempotency_key: str = "",
    ) -> str:
        """Begin an object that comes in parts, and return the id of the upload, which nobody can guess.

        The condition is judged now and again when the upload is completed; `attributes.ttl` counts from then on.

        Raises:
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the present object, or there is none.
        """

    @abstractmethod
    def part_writer(
        self, bucket: str, key: str, upload_id: str, number: int, *, declared_size: int | None = None
    ) -> PartWriter:
        """Begin a part, in any order and beside other parts.

        Raises:
            UploadNotFoundError: There is no such upload for this key.
            ResourceExhaustedError: The disk is full.
        """

    @abstractmethod
    def complete_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[PartChoice],
        condition: Condition = ANY,
        *,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        """Make the object of `parts`, in their order, and end the upload; all or nothing, like a commit.

        The cost is that of the number of parts, not of their bytes. Parts that are not named are dropped.

        Args:
            bucket: That of the upload.
            key: That of the upload.
            upload_id: As `create_upload` returned it.
            parts: In strictly ascending order of number, at least one.
            condition: In addition to that of the beginning.
            idempotency_key: Unique per logical completion.

        Raises:
            UploadNotFoundError: There is no such upload for this key, perhaps because it was completed.
            InvalidParameterError: A part is missing, or they make more than `MAX_OBJECT_SIZE` bytes.
            PreconditionFailedError: A part has another etag, or a condition does not hold.
            AlreadyExistsError: A condition says `if_absent` and the key is taken.
        """

    @abstractmethod
    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; one that is not there is no error."""

    @abstractmethod
    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, after_number: int = 0, limit: int = 1000
    ) -> list[PartInfo]:
        """Return the first `limit` parts behind `after_number`, in order of number.

        Raises:
            UploadNotFoundError: There is no such upload for this key.
        """

    @abstractmethod
    def list_uploads(
        self, bucket: str, *, prefix: str = "", after: tuple[str, str] | None = None, limit: int = 1000
    ) -> UploadPage:
        """Return the first `limit` uploads behind `after`, a key and an upload id, whose keys begin with `prefix`.

        They come in byte order of their keys, and those of one key in the order of their beginning.
        """

    @abstractmethod
    def page(self, query: ListQuery) -> ObjectPage:
        """Return the first `query.limit` names behind `query.after`, in time proportional to that page.

        `next_after` is the last name of the page, or empty: a name that the page does not show is nobody's to know.

        A common prefix is ``prefix`` plus everything up to and including the first `query.delimiter` behind it.
        """

    def presigned_location(self, bucket: str, key: str, method: str, expires: float) -> str | None:  # noqa: ARG002
        """Return a URL at which the medium itself does what `method` asks for, without credentials; None if it cannot.

        Args:
            bucket: That of an object.
            key: That of an object.
            method: ``GET`` or ``HEAD``.
            expires: Seconds that the URL is good for at most.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Finish what is under way and let go of the medium; the engine is of no use afterwards."""
