"""The rules of object storage, without gRPC and without disks.

What a name may be, which checksum must agree with what, how pages continue, when a bucket makes itself: here, with
authority, whatever a client has checked before. Engines are called with values that are right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from importlib import metadata
from itertools import chain
from typing import Final

from actorc.storage import rules
from actorc.storage.errors import (
    InvalidParameterError,
    InvalidRangeError,
    NotFoundError,
    StorageError,
    UnsupportedError,
)
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
    ServerInfo,
)
from actorc.storage.server.engines.base import CopySource, Engine, ObjectReader
from actorc.storage.server.engines.preconditions import Clock, judge, microseconds, utc

from .auto_create import WrittenBuckets
from .checks import GUESSED, check_attributes, check_condition, check_idempotency_key, check_name, page_limit
from .multipart import MultipartUploads
from .page_tokens import read_token, write_token
from .paging import fitting, joined_page
from .upload import Upload, about, check_size

_BUCKETS: Final = "buckets"
"""What a token of the listing of buckets is bound to."""


class ObjectStore:
    """What clients may rely on, over any engine.

    Args:
        engine: Where bytes rest; whoever opened it closes it.
        auto_create_buckets: Whether a write to a bucket that does not exist makes it; a function is asked at each one.
        clock: Tells the time.

    Attributes:
        multipart: The rules of objects that come in parts.
    """

    def __init__(
        self, engine: Engine, *, auto_create_buckets: bool | Callable[[], bool] = False, clock: Clock = time.time
    ) -> None:
        self._engine = engine
        self._buckets = WrittenBuckets(engine, auto_create=auto_create_buckets)
        self._clock = clock
        self.multipart = MultipartUploads(engine, self._buckets)

    def server_info(self) -> ServerInfo:
        """Describe limits and capabilities."""
        return ServerInfo(
            version=_version(),
            engine=self._engine.name,
            durable=self._engine.durable,
            max_chunk_size=rules.MAX_CHUNK_SIZE,
            max_inline_size=rules.MAX_INLINE_SIZE,
            auto_create_buckets=self._buckets.auto_create,
            capabilities=tuple(sorted(self._engine.capabilities)),
            time=utc(microseconds(self._clock)),
        )

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        """Make a bucket.

        Raises:
            AlreadyExistsError: There is one, and not `exist_ok`.
        """
        rules.check_bucket(bucket)
        check_idempotency_key(idempotency_key)
        with about(bucket):
            return self._engine.create_bucket(bucket, exist_ok=exist_ok, idempotency_key=idempotency_key)

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        """Remove an empty bucket, and with it the multipart uploads under way in it.

        Raises:
            BucketNotEmptyError: It holds objects.
        """
        rules.check_bucket(bucket)
        check_idempotency_key(idempotency_key)
        with about(bucket):
            self._engine.delete_bucket(bucket, idempotency_key=idempotency_key)

    def head_bucket(self, bucket: str) -> BucketInfo:
        """Describe a bucket."""
        rules.check_bucket(bucket)
        with about(bucket):
            return self._engine.head_bucket(bucket)

    def bucket_page(
        self, *, page_size: int = 0, page_token: str = "", is_shown: Callable[[str], bool] = lambda _: True
    ) -> tuple[list[BucketInfo], str]:
        """Return one page of buckets in order of name, and the token of the next page, empty on the last one.

        Args:
            page_size: Buckets in the page, at most `MAX_PAGE`; 0: all of them, for clients that know no pages.
            page_token: What came with the page before; empty: the first page.
            is_shown: Tells whether the caller may know of the bucket of this name.

        Raises:
            InvalidParameterError: The token is none of this listing, or all buckets are too many for one message.
        """
        after = read_token(page_token, _BUCKETS) if page_token else ""
        rest = [info for info in self._engine.buckets() if info.name > after and is_shown(info.name)]
        page = rest[: fitting(rest, page_limit(page_size) if page_size else len(rest))]
        if not page_size and len(page) < len(rest):
            raise InvalidParameterError(
                f"{len(rest)} buckets are too many for one answer; ask for them in pages, with page_size"
            )
        return page, write_token(page[-1].name, _BUCKETS) if len(page) < len(rest) else ""

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        crc32c: int,
        *,
        attributes: ObjectAttributes = GUESSED,
        condition: Condition = ANY,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        """Store an object of at most `MAX_INLINE_SIZE` bytes, all or nothing.

        Raises:
            IntegrityError: `data` does not match `crc32c`.
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the present object.
        """
        if len(data) > rules.MAX_INLINE_SIZE:
            raise InvalidParameterError(
                f"{len(data)} bytes are too many for one put; write more than {rules.MAX_INLINE_SIZE} as a stream",
                bucket,
                key,
            )
        with self.begin_write(
            bucket,
            key,
            attributes=attributes,
            condition=condition,
            idempotency_key=idempotency_key,
            declared_size=len(data),
            judge_early=False,
        ) as upload:
            upload.write(Chunk(0, data, crc32c))
            return upload.commit(size=len(data), crc32c=crc32c)

    def begin_write(
        self,
        bucket: str,
        key: str,
        *,
        attributes: ObjectAttributes = GUESSED,
        condition: Condition = ANY,
        idempotency_key: str = "",
        declared_size: int | None = None,
        judge_early: bool = True,
    ) -> Upload[ObjectInfo]:
        """Begin an object of any size; nothing is stored before `Upload.commit`.

        Args:
            bucket: An existing bucket, unless buckets make themselves.
            key: What it will be stored under.
            attributes: An empty content type is guessed from the key.
            condition: What must be true of the present object when the upload is committed.
            idempotency_key: Unique per logical write; a repeated one gets the first answer.
            declared_size: Bytes to come, if known, so that a full disk is found now.
            judge_early: Judge the condition now as well, and spare the caller sending bytes in vain. Not for a write
                that may be a repetition: the first one may be what the condition would fail on.

        Raises:
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the present object.
            ResourceExhaustedError: The disk is full.
        """
        check_name(bucket, key)
        attributes = check_attributes(attributes, key)
        check_condition(condition)
        check_idempotency_key(idempotency_key)
        check_size(declared_size)
        with about(bucket, key):
            self._check_ttl(attributes)
            if judge_early and condition != ANY:
                self._judge(bucket, key, condition)
            writer = self._buckets.write(bucket, lambda: self._engine.writer(bucket, key, declared_size=declared_size))
        publish = partial(writer.commit, attributes, condition, idempotency_key=idempotency_key)
        return Upload(writer, bucket, key, publish)

    @contextmanager
    def read(
        self,
        bucket: str,
        key: str,
        ranges: Sequence[ByteRange] = (),
        *,
        generation: int | None = None,
        if_match: str | None = None,
    ) -> Iterator[tuple[ObjectInfo, Iterator[Chunk]]]:
        """Open an object for reading: its description, and its bytes until the block ends.

        Args:
            bucket: Its bucket.
            key: Its key.
            ranges: Sent one after the other, each cut at the end of the object; none: all of it.
            generation: The one to read, instead of the present one.
            if_match: The etag it must have.

        Raises:
            InvalidRangeError: A range begins behind the end of the object.
            PreconditionFailedError: `if_match` is not its etag.
            ObjectNotFoundError: There is no such object, or no longer that generation.
        """
        check_name(bucket, key)
        parts = [rules.check_range(part.offset, part.length) for part in ranges or (WHOLE,)]
        if generation is not None:
            rules.check_positive(generation, "generation")
        condition = rules.check_condition(if_absent=False, if_match=if_match)
        with about(bucket, key), self._open(bucket, key, generation, parts) as reader:
            info = reader.info
            judge(condition, info.etag, bucket, key)
            present = [_clip(part, info) for part in parts]
            yield info, chain.from_iterable(reader.chunks(part) for part in present if part.length)

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Describe the present object.

        Raises:
            ObjectNotFoundError: There is none.
        """
        check_name(bucket, key)
        with about(bucket, key):
            return self._engine.head(bucket, key)

    def presigned_location(self, bucket: str, key: str, method: str, expires: float) -> str | None:
        """Return a URL at which the engine's own medium serves the object for `expires` seconds at most, if it can."""
        check_name(bucket, key)
        with about(bucket, key):
            return self._engine.presigned_location(bucket, key, method, expires)

    def page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        page_size: int = 0,
        page_token: str = "",
        within: Sequence[str] = (),
    ) -> ObjectPage:
        """Return one page of names; its `next_after` is the token of the next page.

        A page may be shorter than asked for though others follow, so that it fits into a message.

        Args:
            bucket: Whose objects to list.
            prefix: What their keys begin with.
            delimiter: Rolls up keys that contain it behind the prefix.
            page_size: Names in the page, at most `MAX_PAGE`; 0: that many.
            page_token: `next_after` of the page before, of the same listing; empty: the first page.
            within: What those keys begin with that are listed: longer forms of `prefix`, in order, no key beginning
                with two of them; none: all that begin with `prefix`. Nothing of other keys can be learnt.

        Raises:
            InvalidParameterError: The token belongs to another listing.
        """
        rules.check_bucket(bucket)
        rules.check_prefix(prefix)
        rules.check_prefix(delimiter, "delimiter")
        limit = page_limit(page_size)
        listed = (bucket, prefix, delimiter)
        after = read_token(page_token, *listed) if page_token else ""
        with about(bucket):
            query = ListQuery(bucket=bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
            page = joined_page(self._engine.page, query, within or (prefix,))
        return replace(page, next_after=write_token(page.next_after, *listed) if page.next_after else "")

    def delete(self, bucket: str, key: str, *, condition: Condition = ANY, idempotency_key: str = "") -> bool:
        """Remove the object; return whether there was one.

        Raises:
            PreconditionFailedError: `condition.if_match` is not the etag of the present object, or there is none.
        """
        check_name(bucket, key)
        rules.check_condition(if_absent=False, if_match=condition.if_match)
        check_idempotency_key(idempotency_key)
        with about(bucket, key):
            return self._engine.delete(bucket, key, condition, idempotency_key=idempotency_key)

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        """Remove up to `MAX_BATCH` objects, each for itself; return what became of each key, in order.

        Raises:
            InvalidParameterError: There are more keys. One that is no key is an error of its own in the results.
        """
        rules.check_bucket(bucket)
        check_idempotency_key(idempotency_key)
        if len(keys) > rules.MAX_BATCH:
            raise InvalidParameterError(
                f"{len(keys)} keys are too many for one batch; delete at most {rules.MAX_BATCH} at a time", bucket
            )
        size = sum(len(key.encode()) for key in keys)
        if size > rules.MAX_BATCH_BYTES:
            raise InvalidParameterError(
                f"keys of {size} bytes are too many for one batch; delete at most {rules.MAX_BATCH_BYTES} at a time",
                bucket,
            )
        refused = {key: error for key in keys if (error := _key_error(key, bucket))}
        wanted = [key for key in keys if key not in refused]
        with about(bucket):
            done = iter(self._engine.delete_many(bucket, wanted, idempotency_key=idempotency_key))
        return [
            DeleteResult(key=key, deleted=False, error=refused[key]) if key in refused else next(done) for key in keys
        ]

    def copy(
        self,
        source: CopySource,
        bucket: str,
        key: str,
        *,
        attributes: ObjectAttributes | None = None,
        condition: Condition = ANY,
        ttl: int | None = None,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        """Make a new object of the bytes of another, or of its own with other attributes; all or nothing.

        Args:
            source: What is copied.
            bucket: Where the copy goes, an existing bucket, unless buckets make themselves.
            key: Where the copy goes.
            attributes: Content type and metadata of the copy; an empty content type is guessed from the key. None:
                those of the source.
            condition: What must be true of the object that is there.
            ttl: Seconds after which the copy is gone; None: it stays, whatever the source does.
            idempotency_key: Unique per logical copy; a repeated one gets the first answer.

        Raises:
            ObjectNotFoundError: There is no such source.
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: An etag is not the one demanded.
        """
        _check_source(source)
        check_name(bucket, key)
        attributes = attributes and check_attributes(attributes, key)
        check_condition(condition)
        rules.check_ttl(ttl)
        check_idempotency_key(idempotency_key)
        copy = partial(
            self._engine.copy, source, bucket, key, attributes, condition, ttl=ttl, idempotency_key=idempotency_key
        )
        with about(bucket, key):
            return copy() if source.bucket == bucket else self._buckets.write(bucket, copy)

    def _check_ttl(self, attributes: ObjectAttributes) -> None:
        if attributes.ttl is not None and "ttl" not in self._engine.capabilities:
            raise UnsupportedError("the storage engine of this server removes nothing by itself; leave ttl out")

    def _open(self, bucket: str, key: str, generation: int | None, parts: Sequence[ByteRange]) -> ObjectReader:
        return self._engine.read(bucket, key, generation=generation, ahead=parts[0])

    def _judge(self, bucket: str, key: str, condition: Condition) -> None:
        try:
            present = self._engine.head(bucket, key).etag
        except NotFoundError:
            present = None
        judge(condition, present, bucket, key)


def _check_source(source: CopySource) -> None:
    check_name(source.bucket, source.key)
    rules.check_condition(if_absent=False, if_match=source.if_match)
    if source.generation is not None:
        rules.check_positive(source.generation, "source_generation")


def _key_error(key: str, bucket: str) -> StorageError | None:
    try:
        rules.check_key(key, bucket)
    except InvalidParameterError as error:
        return error
    return None


def _clip(part: ByteRange, info: ObjectInfo) -> ByteRange:
    if part.offset > info.size:
        raise InvalidRangeError(
            f"the range begins at byte {part.offset} and the object has {info.size}; begin at {info.size} or before"
        )
    first, stop = part.clamp(info.size)
    return ByteRange(first, stop - first)


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return metadata.version("lucas-storage")
    except metadata.PackageNotFoundError:
        return "0+unknown"
