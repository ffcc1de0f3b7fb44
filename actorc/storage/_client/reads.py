"""Methods that read objects into memory: all of one, ranges, and pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal, overload

from actorc.storage import rules
from actorc.storage.models import ByteRange

from . import arguments
from .session import Session

if TYPE_CHECKING:
    from typing_extensions import Buffer


class ReadMethods(Session):
    """The methods of `StorageClient` that read objects into memory."""

    @overload
    def get_object(
        self,
        bucket: str,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        generation: int | None = None,
        if_match: str | None = None,
        as_view: Literal[False] = False,
        timeout: float | None = None,
    ) -> bytes: ...

    @overload
    def get_object(
        self,
        bucket: str,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        generation: int | None = None,
        if_match: str | None = None,
        as_view: Literal[True],
        timeout: float | None = None,
    ) -> memoryview: ...

    @overload
    def get_object(
        self,
        bucket: str,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        generation: int | None = None,
        if_match: str | None = None,
        out: Buffer,
        timeout: float | None = None,
    ) -> memoryview: ...

    @overload
    def get_object(
        self,
        bucket: str,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        generation: int | None = None,
        if_match: str | None = None,
        as_view: bool = False,
        out: Buffer | None = None,
        timeout: float | None = None,
    ) -> bytes | memoryview: ...

    def get_object(
        self,
        bucket: str,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        generation: int | None = None,
        if_match: str | None = None,
        as_view: bool = False,
        out: Buffer | None = None,
        timeout: float | None = None,
    ) -> bytes | memoryview:
        """Return an object, or a part of it, verified against its checksum.

        A view is read-only memory. From a server on the same machine it is a map of the file that has the object, and
        takes no memory of its own: it comes at once if nothing has written to that file since the object was stored or
        the server last verified it, by its inode, size and times, else once all of it is verified. Damage that changes
        none of these, such as a bit that flips on the disk, is found by the server's scrubbing and by every reading
        without `as_view`. An object of several parts, and any from another machine, is read into memory and verified.

        A large object is fetched over more than one connection only if that is faster.

        Args:
            bucket: Bucket name.
            key: Object key.
            offset: Position of the first byte.
            length: Number of bytes, fewer at the end of the object; None for all from `offset` on.
            generation: Read this generation or fail.
            if_match: Read only the object with this etag.
            as_view: Return a `memoryview` instead of `bytes`. It stays valid whatever becomes of the object and of the
                client, and may hold a file open.
            out: Write the bytes into this buffer, such as a bytearray, a numpy array or a writable `mmap.mmap`, instead
                of new memory, and return the part of it that was written as a `memoryview`. It may be larger than
                needed; after an error, anything may be in it.
            timeout: Seconds for the whole call.

        Raises:
            NotFoundError: The bucket, the object or the generation does not exist.
            InvalidParameterError: `out` cannot be written to, is too small, or comes with `as_view`.
            InvalidRangeError: `offset` is behind the end of the object.
            PreconditionFailedError: The object is not the one of `if_match`.
            IntegrityError: The bytes are damaged where they are stored.
        """
        arguments.etag_condition(if_match)
        arguments.object_name(bucket, key)
        part, generation = rules.check_range(offset, length), arguments.checked_generation(generation)
        if out is not None:
            return self._get_into(out, bucket, key, part, generation, as_view, if_match, timeout)
        read = self._remote.view if as_view else self._remote.get
        stream = partial(self._stream, bucket, key, part, generation, if_match)
        return read(bucket, key, part, generation, if_match=if_match, timeout=timeout, stream=stream)

    def get_ranges(
        self,
        bucket: str,
        key: str,
        ranges: Iterable[tuple[int, int]],
        *,
        generation: int | None = None,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> list[bytes]:
        """Return many ranges of an object, all of one generation, each verified against its checksum.

        Up to 1000 ranges, of 3 MiB in all, take one call, in which the server reads ranges that are near each other at
        once; more take further calls, and so does each range of more than 1 MiB.

        Args:
            bucket: Bucket name.
            key: Object key.
            ranges: Offset and length of each, in any order; they may overlap. A negative offset counts from the end of
                the object: ``(-8, 8)`` is its last eight bytes.
            generation: Read this generation or fail.
            if_match: Read only the object with this etag.
            timeout: Seconds for all calls together.

        Returns:
            The bytes of each range, in the order of `ranges`; fewer than asked for at the end of the object.

        Raises:
            NotFoundError: The bucket, the object or the generation does not exist.
            InvalidParameterError: `ranges` has something else than such pairs.
            InvalidRangeError: A range begins behind the end of the object.
            PreconditionFailedError: The object is not the one of `if_match`.
            IntegrityError: The bytes are damaged where they are stored.
        """
        from actorc.storage._transfer import object_ranges  # noqa: PLC0415  # loads the checksum library

        arguments.etag_condition(if_match)
        arguments.object_name(bucket, key)
        parts, generation = arguments.near_ranges(ranges), arguments.checked_generation(generation)
        return object_ranges.get(self._remote, bucket, key, parts, generation, if_match=if_match, timeout=timeout)

    def stream_object(
        self,
        bucket: str,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        generation: int | None = None,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[bytes]:
        """Iterate over an object in pieces of at most 1 MiB, each verified before it is yielded.

        Over a slow link what follows is fetched by several connections, and at most 64 MiB of it are held.
        All pieces are of one generation. A broken connection is resumed at the byte where it broke. Arguments and
        errors are those of `get_object`; arguments are checked at once, the rest is raised while iterating.
        """
        arguments.etag_condition(if_match)
        arguments.object_name(bucket, key)
        part, generation = rules.check_range(offset, length), arguments.checked_generation(generation)
        return self._pieces(self._stream(bucket, key, part, generation, if_match, timeout))

    def _get_into(
        self,
        out: Buffer,
        bucket: str,
        key: str,
        part: ByteRange,
        generation: int | None,
        as_view: bool,
        if_match: str | None,
        timeout: float | None,
    ) -> memoryview:
        target = arguments.target(out, as_view=as_view)
        stream = partial(self._stream, bucket, key, part, generation, if_match)
        size = self._remote.get_into(
            bucket, key, part, generation, target, if_match=if_match, timeout=timeout, stream=stream
        )
        return target[:size]
