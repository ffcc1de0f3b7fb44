"""The rules of object storage, without gRPC and without disks.

What a name may be, which checksum must agree with what, how pages continue, when a bucket makes itself: here, with
authority, whatever a client has checked before. Engines are called with values that are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from importlib import metadata
from itertools import chain
from typing import Final

from actorc.storage import rules
from actorc.storage.errors import (
    BucketNotFoundError,
    InvalidParameterError,
    InvalidRangeError,
    NotFoundError,
)
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
    ServerInfo,
)

from .engines.base import Engine, Writer
from .engines.verdicts import judge
from .tokens import read_token, write_token
from .upload import Upload, about, check_size

MAX_IDEMPOTENCY_KEY: Final = 128
"""Characters; it is stored beside every result."""

GUESSED: Final = ObjectAttributes(content_type="")


class ObjectStore:
    """What clients may rely on, over any engine.

    Args:
        engine: Where bytes rest; whoever opened it closes it.
        auto_create_buckets: Whether a write to a bucket that does not exist makes it.
    """

    def __init__(self, engine: Engine, *, auto_create_buckets: bool = False) -> None:
        self._engine = engine
        self._auto_create_buckets = auto_create_buckets

    def server_info(self) -> ServerInfo:
        """Describe limits and capabilities."""
        return ServerInfo(
            version=_version(),
            engine=self._engine.name,
            durable=self._engine.durable,
            max_chunk_size=rules.MAX_CHUNK_SIZE,
            max_inline_size=rules.MAX_INLINE_SIZE,
            auto_create_buckets=self._auto_create_buckets,
            capabilities=tuple(sorted(self._engine.capabilities)),
        )

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        """Make a bucket.

        Raises:
            AlreadyExistsError: There is one, and not `exist_ok`.
        """
        rules.check_bucket(bucket)
        _check_idempotency_key(idempotency_key)
        with about(bucket):
            return self._engine.create_bucket(bucket, exist_ok=exist_ok, idempotency_key=idempotency_key)

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        """Remove an empty bucket.

        Raises:
            BucketNotEmptyError: It holds objects.
        """
        rules.check_bucket(bucket)
        _check_idempotency_key(idempotency_key)
        with about(bucket):
            self._engine.delete_bucket(bucket, idempotency_key=idempotency_key)

    def head_bucket(self, bucket: str) -> BucketInfo:
        """Describe a bucket."""
        rules.check_bucket(bucket)
        with about(bucket):
            return self._engine.head_bucket(bucket)

    def buckets(self) -> list[BucketInfo]:
        """Return all buckets in order of name."""
        return self._engine.buckets()

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
    ) -> Upload:
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
        rules.check_key(key, rules.check_bucket(bucket))
        attributes = _check_attributes(attributes, key)
        _check_condition(condition)
        _check_idempotency_key(idempotency_key)
        check_size(declared_size)
        with about(bucket, key):
            if judge_early and condition != ANY:
                self._judge(bucket, key, condition)
            writer = self._writer(bucket, key, declared_size)
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
        rules.check_key(key, rules.check_bucket(bucket))
        parts = [rules.check_range(part.offset, part.length) for part in ranges or (WHOLE,)]
        if generation is not None:
            rules.check_positive(generation, "generation")
        condition = rules.check_condition(if_absent=False, if_match=if_match)
        with about(bucket, key), self._engine.read(bucket, key, generation=generation) as reader:
            info = reader.info
            judge(condition, info.etag, bucket, key)
            present = [_clip(part, info) for part in parts]
            yield info, chain.from_iterable(reader.chunks(part) for part in present if part.length)

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Describe the present object.

        Raises:
            ObjectNotFoundError: There is none.
        """
        rules.check_key(key, rules.check_bucket(bucket))
        with about(bucket, key):
            return self._engine.head(bucket, key)

    def page(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", page_size: int = 0, page_token: str = ""
    ) -> ObjectPage:
        """Return one page of names; its `next_after` is the token of the next page.

        Args:
            bucket: Whose objects to list.
            prefix: What their keys begin with.
            delimiter: Rolls up keys that contain it behind the prefix.
            page_size: Names in the page, at most `MAX_PAGE`; 0: that many.
            page_token: `next_after` of the page before, of the same listing; empty: the first page.

        Raises:
            InvalidParameterError: The token belongs to another listing.
        """
        rules.check_bucket(bucket)
        rules.check_prefix(prefix)
        rules.check_prefix(delimiter, "delimiter")
        if page_size:
            rules.check_positive(page_size, "page_size")
        listed = (bucket, prefix, delimiter)
        after = read_token(page_token, *listed) if page_token else ""
        limit = min(page_size or rules.MAX_PAGE, rules.MAX_PAGE)
        with about(bucket):
            query = ListQuery(bucket=bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
            page = self._engine.page(query)
        return replace(page, next_after=write_token(page.next_after, *listed) if page.next_after else "")

    def delete(self, bucket: str, key: str, *, condition: Condition = ANY, idempotency_key: str = "") -> bool:
        """Remove the object; return whether there was one.

        Raises:
            PreconditionFailedError: `condition.if_match` is not the etag of the present object, or there is none.
        """
        rules.check_key(key, rules.check_bucket(bucket))
        rules.check_condition(if_absent=False, if_match=condition.if_match)
        _check_idempotency_key(idempotency_key)
        with about(bucket, key):
            return self._engine.delete(bucket, key, condition, idempotency_key=idempotency_key)

    def _writer(self, bucket: str, key: str, declared_size: int | None) -> Writer:
        try:
            return self._engine.writer(bucket, key, declared_size=declared_size)
        except BucketNotFoundError:
            if not self._auto_create_buckets:
                raise
        self._engine.create_bucket(bucket, exist_ok=True)
        return self._engine.writer(bucket, key, declared_size=declared_size)

    def _judge(self, bucket: str, key: str, condition: Condition) -> None:
        try:
            present = self._engine.head(bucket, key).etag
        except NotFoundError:
            present = None
        judge(condition, present, bucket, key)


def _check_attributes(attributes: ObjectAttributes, key: str) -> ObjectAttributes:
    content_type = rules.check_content_type(attributes.content_type or rules.guess_content_type(key))
    return ObjectAttributes(content_type=content_type, metadata=rules.check_metadata(attributes.metadata))


def _check_condition(condition: Condition) -> None:
    rules.check_condition(if_absent=condition.if_absent, if_match=condition.if_match)


def _check_idempotency_key(idempotency_key: str) -> None:
    if len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
        raise InvalidParameterError(f"the idempotency key is too long; use at most {MAX_IDEMPOTENCY_KEY} characters")


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
