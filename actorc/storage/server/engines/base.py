"""The contract of a storage engine.

Engines store bytes and check no rules: `server/store` has checked names, sizes, checksums and permissions before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from actorc.storage.errors import StorageError
from actorc.storage.models import (
    ANY,
    WHOLE,
    BucketInfo,
    ByteRange,
    Condition,
    DeleteResult,
    ListQuery,
    ObjectAttributes,
    ObjectContent,
    ObjectInfo,
    ObjectPage,
    PartInfo,
    SmallObject,
    UploadPage,
)

from .batches import attempted
from .bucket_totals import BucketTotal
from .readers_writers import ObjectReader, ObjectWriter, PartWriter

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
"""Capabilities that an engine may lack. It refuses a call that needs one, or says how far its own goes."""

EVERYTHING_BUT_RETENTION: Final = frozenset(CAPABILITIES) - {"retention"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySource:
    """The generation of an object to copy."""

    bucket: str
    key: str
    generation: int | None = None
    """None: the current one."""
    if_match: str | None = None
    """The etag it must have; None: any."""

    @staticmethod
    def attributes(given: ObjectAttributes | None, found: ObjectInfo, ttl: int | None) -> ObjectAttributes:
        """Return the attributes of the copy: those given, else those of the source; its expiry is its own."""
        described = given or found
        return ObjectAttributes(content_type=described.content_type, metadata=described.metadata, ttl=ttl)


class PartChoice(NamedTuple):
    """Number and etag of a part, as given by the caller that completes an upload."""

    number: int
    etag: str


class Engine(ABC):
    """Stores buckets, objects and multipart uploads.

    Guarantees, proved for any engine by `actorc.storage.testing.contract`:

    * a commit is all or nothing: a reader sees the old object or the new one, never a mixture;
    * the change made by a mutating method that returned survives a crash, if `durable`;
    * a reader sees one generation, also while the object is replaced or deleted;
    * pages hold names in byte order of their UTF-8 form, each once;
    * any method may be called from any thread, and a `Writer` or `ObjectReader` from one thread at a time;
    * generations grow strictly over all objects, also across a restart;
    * an object whose `ttl` has passed is gone for every method, whenever its bytes are removed;
    * a mutating call that is repeated with its `idempotency_key` within a day changes nothing and gets the first
      answer; a call with the same key and other arguments raises `IdempotencyKeyReusedError`;
    * multipart uploads that receive no part for a long time are removed.

    An engine may lack some of it: the entries of `CAPABILITIES` that are not among its own. A call that needs one
    raises `UnsupportedError`, or for a name or a value `InvalidParameterError`.

    Every method that names a bucket raises `BucketNotFoundError` if there is none.
    """

    name: ClassVar[str]
    durable: bool
    capabilities: frozenset[str] = frozenset()
    """Names of `CAPABILITIES`."""

    @property
    def healthy(self) -> bool:
        """Whether changes are accepted; otherwise the server that it belongs to is not ready."""
        return True

    @property
    def full(self) -> bool:
        """Whether there is no room for new objects at present; then the server is not ready either."""
        return False

    @property
    def damaged(self) -> int:
        """How often verifying what is stored found damage, since the engine was opened; 0 if it does not look."""
        return 0

    @abstractmethod
    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        """Make a bucket and return it; with `exist_ok`, return an existing one.

        Raises:
            AlreadyExistsError: It exists, and was not made by a call with this `idempotency_key`; not with `exist_ok`.
        """

    @abstractmethod
    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        """Remove an empty bucket and the uploads under way in it.

        Raises:
            BucketNotEmptyError: It contains objects.
        """

    @abstractmethod
    def head_bucket(self, bucket: str) -> BucketInfo:
        """Return the description of a bucket."""

    @abstractmethod
    def buckets(self) -> list[BucketInfo]:
        """Return all buckets in order of name."""

    def bucket_totals(self) -> list[BucketTotal] | None:
        """Return objects and bytes of every bucket, in order of name, without counting; None if the engine cannot."""
        return None

    @abstractmethod
    def writer(self, bucket: str, key: str, *, declared_size: int | None = None) -> ObjectWriter:
        """Return a writer for an object; with `declared_size` in bytes, a full disk is noticed before they are sent.

        Raises:
            ResourceExhaustedError: The disk is full.
        """

    @abstractmethod
    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Return the description of the current object.

        Raises:
            ObjectNotFoundError: There is none.
        """

    @abstractmethod
    def read(self, bucket: str, key: str, *, generation: int | None = None, ahead: ByteRange = WHOLE) -> ObjectReader:
        """Open the current object, or one generation of it.

        Args:
            bucket: Bucket of the object.
            key: Key of the object.
            generation: Generation to read; None: the current one.
            ahead: Range that will be read first; an engine may fetch it together with the description.

        A replaced generation stays readable for a while, if the engine has the capability ``retention``; those of a
        deleted object do not.

        Raises:
            ObjectNotFoundError: There is no object, or that generation is gone.
        """

    @abstractmethod
    def delete(self, bucket: str, key: str, condition: Condition = ANY, *, idempotency_key: str = "") -> bool:
        """Remove the object; return whether there was one.

        Raises:
            PreconditionFailedError: `condition.if_match` is not the etag of the current object, or there is none.
        """

    @abstractmethod
    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        """Remove objects, independently of each other; return the result for each key, in order."""

    def put_many(
        self, bucket: str, objects: Sequence[SmallObject], *, idempotency_key: str = ""
    ) -> list[ObjectInfo | StorageError]:
        """Publish objects of different keys, independently of each other; return the result of each, in order.

        Each is published as by the `commit` of a writer, with the same `idempotency_key`. An engine that can makes
        them durable at once.

        Raises:
            BucketNotFoundError: There is no such bucket.
            StorageError: A failure that may pass, so that the call is to be repeated; some may be published.
        """
        self.head_bucket(bucket)
        put = self.put_small
        return [attempted(lambda: put(bucket, each, idempotency_key=idempotency_key)) for each in objects]  # noqa: B023

    def read_many(self, bucket: str, keys: Sequence[str], *, most: int) -> Iterator[ObjectContent | StorageError]:
        """Yield the current object of each key, in order, with its verified bytes if there are at most `most`.

        Raises:
            BucketNotFoundError: There is no such bucket.
            StorageError: A failure that may pass.
        """
        self.head_bucket(bucket)
        for key in keys:
            yield attempted(lambda: self.read_small(bucket, key, most=most))  # noqa: B023

    def head_many(self, bucket: str, keys: Sequence[str]) -> Iterator[ObjectInfo | StorageError]:
        """Yield the description of the current object of each key, in order.

        Raises:
            BucketNotFoundError: There is no such bucket.
            StorageError: A failure that may pass.
        """
        self.head_bucket(bucket)
        for key in keys:
            yield attempted(lambda: self.head(bucket, key))  # noqa: B023

    def put_small(self, bucket: str, small: SmallObject, *, idempotency_key: str = "") -> ObjectInfo:
        """Publish an object whose bytes are there, as `writer` and `commit` do."""
        with self.writer(bucket, small.key, declared_size=len(small.data)) as writer:
            if small.data:
                writer.write(small.data, small.crc32c)
            return writer.commit(small.attributes, small.condition, idempotency_key=idempotency_key)

    def read_small(self, bucket: str, key: str, *, most: int) -> ObjectContent:
        """Return the current object, with its verified bytes if there are at most `most`.

        Raises:
            ObjectNotFoundError: There is none.
        """
        with self.read(bucket, key) as reader:
            if reader.info.size > most:
                return ObjectContent(reader.info, None)
            return ObjectContent(reader.info, b"".join([chunk.data for chunk in reader.chunks()]))

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
        """Make an object of the bytes of `source`, which may be the object it replaces; all or nothing, like a commit.

        Args:
            source: Object and generation to copy.
            bucket: Bucket of the copy.
            key: Key of the copy.
            attributes: Content type and metadata of the copy; None: those of the source. Their `ttl` is ignored.
            condition: Condition on the object that the copy replaces.
            ttl: Seconds that the copy lives; that of the source is not inherited.
            idempotency_key: Unique per logical copy.

        Raises:
            ObjectNotFoundError: There is no such source; the error has its bucket and key.
            BucketNotFoundError: A bucket is missing; the error names it, the source's first.
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: The source, or the replaced object, has another etag than demanded.
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
        """Begin a multipart upload and return its id, which cannot be guessed.

        The condition is checked now and again at completion; `attributes.ttl` counts from completion.

        Raises:
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the current object, or there is none.
        """

    @abstractmethod
    def part_writer(
        self, bucket: str, key: str, upload_id: str, number: int, *, declared_size: int | None = None
    ) -> PartWriter:
        """Return a writer for a part; parts may be written in any order and in parallel.

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

        The cost depends on the number of parts, not on their bytes. Parts that are not named are dropped.

        Args:
            bucket: Bucket of the upload.
            key: Key of the upload.
            upload_id: The result of `create_upload`.
            parts: In strictly ascending order of number, at least one.
            condition: Checked in addition to that of `create_upload`.
            idempotency_key: Unique per logical completion.

        Raises:
            UploadNotFoundError: There is no such upload for this key, perhaps because it was completed.
            InvalidParameterError: A part is missing, or the object would have more than `MAX_OBJECT_SIZE` bytes.
            PreconditionFailedError: A part has another etag, or a condition is not met.
            AlreadyExistsError: A condition says `if_absent` and the key is taken.
        """

    @abstractmethod
    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; a missing one is no error."""

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
        """Return the first `query.limit` names behind `query.after`, in time proportional to the page.

        `next_after` is the last name of the page, or empty: a name that the page does not show must not become known.

        A common prefix is ``prefix`` plus everything up to and including the first `query.delimiter` behind it.
        """

    def presigned_location(self, bucket: str, key: str, method: str, expires: float) -> str | None:  # noqa: ARG002
        """Return a URL at which the medium itself answers `method`, without credentials; None if it cannot.

        Args:
            bucket: Bucket of the object.
            key: Key of the object.
            method: ``GET`` or ``HEAD``.
            expires: Greatest validity of the URL in seconds.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Finish running calls and release the medium; the engine cannot be used afterwards."""
