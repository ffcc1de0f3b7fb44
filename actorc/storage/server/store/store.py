"""The rules of object storage, over any engine and without gRPC.

Names, checksums, conditions, pages and the creation of missing buckets are checked here, with authority, whatever a
client has checked before. Engines get valid values only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

from actorc.storage import rules
from actorc.storage.errors import InvalidParameterError, InvalidRangeError
from actorc.storage.models import (
    NOTHING,
    WHOLE,
    ByteRange,
    Chunk,
    ListQuery,
    ObjectContent,
    ObjectInfo,
    ObjectPage,
    ServerInfo,
)
from actorc.storage.server.engines.base import Engine
from actorc.storage.server.engines.preconditions import check_precondition
from actorc.storage.server.engines.readers_writers import FileSegment, ObjectReader
from actorc.storage.server.engines.times import Clock, microseconds, utc
from actorc.version import version

from . import near_ranges
from .auto_create import BucketCreation
from .batches import BatchOperations
from .buckets import BucketOperations
from .checks import check_name, page_limit
from .multipart import MultipartUploads
from .page_tokens import read_token, write_token
from .paging import joined_page
from .upload import name_in_errors
from .writes import WriteOperations


class ObjectStore(BucketOperations, WriteOperations, BatchOperations):
    """The operations of object storage, checked, over any engine. Any thread may call it.

    Args:
        engine: The engine; the caller closes it.
        auto_create_buckets: Whether a write to a missing bucket creates it; a function is called at each write.
        clock: Seconds since 1970-01-01 UTC.

    Attributes:
        multipart: The rules of objects that come in parts.
    """

    def __init__(
        self, engine: Engine, *, auto_create_buckets: bool | Callable[[], bool] = False, clock: Clock = time.time
    ) -> None:
        self._engine = engine
        self._buckets = BucketCreation(engine, auto_create=auto_create_buckets)
        self._clock = clock
        self.multipart = MultipartUploads(engine, self._buckets)

    def server_info(self) -> ServerInfo:
        """Return limits and capabilities."""
        return ServerInfo(
            version=version(),
            engine=self._engine.name,
            durable=self._engine.durable,
            max_chunk_size=rules.MAX_CHUNK_SIZE,
            max_inline_size=rules.MAX_INLINE_SIZE,
            auto_create_buckets=self._buckets.auto_create,
            capabilities=tuple(sorted(self._engine.capabilities)),
            time=utc(microseconds(self._clock)),
        )

    @contextmanager
    def read(
        self,
        bucket: str,
        key: str,
        ranges: Sequence[ByteRange] = (),
        *,
        generation: int | None = None,
        if_match: str | None = None,
        recorded_checksums: bool = False,
    ) -> Iterator[tuple[ObjectInfo, Iterator[Chunk]]]:
        """Open an object; yield its description and an iterator over its bytes, which ends with the block.

        Args:
            bucket: Bucket of the object.
            key: Key of the object.
            ranges: Ranges to read, in order, each cut at the end of the object; none: the whole object.
            generation: Generation to read; None: the current one.
            if_match: The etag it must have.
            recorded_checksums: Whether the caller compares each chunk with its checksum, so that it may be unverified.

        Raises:
            InvalidRangeError: A range begins behind the end of the object.
            PreconditionFailedError: `if_match` is not its etag.
            ObjectNotFoundError: There is no such object, or no longer that generation.
        """
        parts = [rules.check_range(part.offset, part.length) for part in ranges or (WHOLE,)]
        with self._opened(bucket, key, generation, if_match, parts[0]) as reader:
            present = [_clip(part, reader.info) for part in parts]
            chunks = reader.recorded_chunks if recorded_checksums else reader.chunks
            yield reader.info, chain.from_iterable(chunks(part) for part in present if part.length)

    def read_ranges(
        self,
        bucket: str,
        key: str,
        ranges: Sequence[ByteRange],
        *,
        generation: int | None = None,
        if_match: str | None = None,
    ) -> tuple[ObjectInfo, list[Chunk]]:
        """Return many ranges of an object, cut at its end, as one chunk each, and together at `MAX_PAGE_BYTES`.

        Args:
            bucket: Bucket of the object.
            key: Key of the object.
            ranges: At most `MAX_RANGES`, in any order; each has a length. A negative offset counts from the end.
            generation: As in `read`.
            if_match: As in `read`.

        Raises:
            InvalidParameterError: They are too many, or none.
            InvalidRangeError: A range begins behind the end of the object.
        """
        if not 0 < len(ranges) <= rules.MAX_RANGES:
            raise InvalidParameterError(
                f"a call has 1 to {rules.MAX_RANGES} ranges, not {len(ranges)}; ask for the others in further calls"
            )
        parts = [rules.check_near_range(part.offset, part.length) for part in ranges]
        with self._opened(bucket, key, generation, if_match, near_ranges.first_read(parts)) as reader:
            return reader.info, near_ranges.read(reader, near_ranges.placed(parts, reader.info.size))

    @contextmanager
    def files(
        self, bucket: str, key: str, *, generation: int | None = None, if_match: str | None = None
    ) -> Iterator[tuple[ObjectInfo, Sequence[FileSegment]]]:
        """Open an object; yield its description and the files that hold it, open within the block.

        There are none if the engine does not keep this object in files. Arguments and errors are those of `read`.
        """
        with self._opened(bucket, key, generation, if_match, NOTHING) as reader:
            yield reader.info, reader.files() or ()

    def read_small(self, bucket: str, key: str) -> ObjectContent:
        """Return the current object, with its verified bytes if it has at most `MAX_ANSWER_SIZE`.

        Raises:
            ObjectNotFoundError: There is none.
        """
        check_name(bucket, key)
        with name_in_errors(bucket, key):
            return self._engine.read_small(bucket, key, most=rules.MAX_ANSWER_SIZE)

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Return the description of the current object.

        Raises:
            ObjectNotFoundError: There is none.
        """
        check_name(bucket, key)
        with name_in_errors(bucket, key):
            return self._engine.head(bucket, key)

    def presigned_location(self, bucket: str, key: str, method: str, expires: float) -> str | None:
        """Return a URL at which the engine's medium serves the object for at most `expires` seconds, or None."""
        check_name(bucket, key)
        with name_in_errors(bucket, key):
            return self._engine.presigned_location(bucket, key, method, expires)

    def page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        page_size: int = 0,
        page_token: str = "",
        details: bool = True,
        within: Sequence[str] = (),
    ) -> ObjectPage:
        """Return one page of names; its `next_after` is the token of the next page.

        A page may be shorter than asked for though others follow, so that it fits into a message.

        Args:
            bucket: Bucket of the objects.
            prefix: Prefix of their keys.
            delimiter: Keys that contain it behind the prefix are rolled up.
            page_size: Names in the page, at most `MAX_PAGE`; 0: that many.
            page_token: `next_after` of the page before, of the same listing; empty: the first page.
            details: Whether to describe objects in full.
            within: Longer forms of `prefix`, in order, none a prefix of another: only keys that begin with one of
                them are listed, and nothing can be learnt about others. None: all keys that begin with `prefix`.

        Raises:
            InvalidParameterError: The token belongs to another listing.
        """
        rules.check_bucket(bucket)
        rules.check_prefix(prefix)
        rules.check_prefix(delimiter, "delimiter")
        limit = page_limit(page_size)
        listed = (bucket, prefix, delimiter)
        after = read_token(page_token, *listed) if page_token else ""
        with name_in_errors(bucket):
            query = ListQuery(
                bucket=bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit, details=details
            )
            page = joined_page(self._engine.page, query, within or (prefix,))
        if not details:
            # alike over all engines, also those for which details cost nothing
            page = replace(page, objects=tuple(map(_without_details, page.objects)))
        return replace(page, next_after=write_token(page.next_after, *listed) if page.next_after else "")

    @contextmanager
    def _opened(
        self, bucket: str, key: str, generation: int | None, if_match: str | None, ahead: ByteRange
    ) -> Iterator[ObjectReader]:
        check_name(bucket, key)
        if generation is not None:
            rules.check_positive(generation, "generation")
        condition = rules.check_condition(if_absent=False, if_match=if_match)
        with (
            name_in_errors(bucket, key),
            self._engine.read(bucket, key, generation=generation, ahead=ahead) as reader,
        ):
            check_precondition(condition, reader.info.etag, bucket, key)
            yield reader


def _without_details(info: ObjectInfo) -> ObjectInfo:
    return ObjectInfo.without_details(info.bucket, info.key, info.size, info.last_modified)


def _clip(part: ByteRange, info: ObjectInfo) -> ByteRange:
    if part.offset > info.size:
        raise InvalidRangeError(
            f"the range begins at byte {part.offset} and the object has {info.size}; begin at {info.size} or before"
        )
    first, stop = part.clamp(info.size)
    return ByteRange(first, stop - first)
