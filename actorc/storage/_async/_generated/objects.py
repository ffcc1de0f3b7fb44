"""Generated from ``actorc.storage._client.objects`` by ``make async-client``; do not edit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping

from actorc.storage import rules
from actorc.storage._async.call import ThreadCall
from actorc.storage._async.session import AsyncSession
from actorc.storage._async.stream_adapters import AsyncByteSource, source_for
from actorc.storage.models import DeleteObjectsResult, ListResult, ObjectHead, PutResult


class AsyncObjectMethods(AsyncSession):
    """The methods of ``_client.objects``, awaited."""

    async def put_object(
        self,
        bucket: str,
        key: str,
        data: AsyncByteSource,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Store `data` under `key`, replacing what was there.

        All or nothing: readers see the old object or the new one. When this returns, the object is on disk, if the
        server's engine is durable.

        Args:
            bucket: Bucket name.
            key: Object key.
            data: A bytes-like object; also an open binary file or an iterable of bytes, which is never held in
                memory whole. Asynchronous iterables and files are taken, too.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object, 8 KiB in total.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            timeout: Seconds for the whole call.

        Raises:
            InvalidParameterError: A name, `data` or `metadata` breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
            AlreadyExistsError: `if_absent` and the key is taken.
            PreconditionFailedError: The current object is not the one of `if_match`.
            NetworkError: The service stayed out of reach.
        """
        call = ThreadCall(self._threads)
        return await call.run(
            self._client.put_object,
            bucket,
            key,
            source_for(call, data),
            content_type,
            metadata,
            if_absent=if_absent,
            if_match=if_match,
            ttl=ttl,
            timeout=timeout,
        )

    async def get_object(
        self,
        bucket: str,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        generation: int | None = None,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Return an object, or a part of it, verified against its checksum.

        Args:
            bucket: Bucket name.
            key: Object key.
            offset: First byte wanted.
            length: Bytes wanted, fewer are returned at the end of the object; None for all behind `offset`.
            generation: Read this generation or fail.
            if_match: Read only the object with this etag.
            timeout: Seconds for the whole call.

        Raises:
            NotFoundError: The bucket, the object or the generation does not exist.
            InvalidRangeError: `offset` lies behind the end.
            PreconditionFailedError: The object is not the one of `if_match`.
            IntegrityError: The bytes are damaged where they are stored.
        """
        return await self._run(
            self._client.get_object,
            bucket,
            key,
            offset=offset,
            length=length,
            generation=generation,
            if_match=if_match,
            timeout=timeout,
        )

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
    ) -> AsyncGenerator[bytes, None]:
        """Iterate by ``async for`` over an object in pieces of at most 1 MiB, each verified before it is yielded.

        All pieces are of one generation. A broken connection is resumed at the byte where it broke. Arguments and
        errors are those of `get_object`; arguments are checked at once, the rest is raised by ``async for``.
        """
        items = self._client.stream_object(
            bucket, key, offset=offset, length=length, generation=generation, if_match=if_match, timeout=timeout
        )
        return self._iterate(items, 1)

    async def head_object(self, bucket: str, key: str, *, timeout: float | None = None) -> ObjectHead:
        """Describe an object without reading it.

        Raises:
            NotFoundError: The bucket or the object does not exist.
        """
        return await self._run(self._client.head_object, bucket, key, timeout=timeout)

    async def object_exists(self, bucket: str, key: str, *, timeout: float | None = None) -> bool:
        """Return whether there is such an object; a failure to find out is raised, not answered."""
        return await self._run(self._client.object_exists, bucket, key, timeout=timeout)

    async def delete_object(
        self, bucket: str, key: str, *, if_match: str | None = None, timeout: float | None = None
    ) -> None:
        """Remove an object; one that is not there is no error.

        Args:
            bucket: Bucket name.
            key: Object key.
            if_match: Remove only the object with this etag.
            timeout: Seconds for the whole call.

        Raises:
            NotFoundError: The bucket does not exist.
            PreconditionFailedError: The object is not the one of `if_match`.
        """
        await self._run(self._client.delete_object, bucket, key, if_match=if_match, timeout=timeout)

    async def delete_objects(
        self, bucket: str, keys: Iterable[str], *, timeout: float | None = None
    ) -> DeleteObjectsResult:
        """Remove any number of objects; each succeeds or fails for itself, and one that is not there is no error.

        Args:
            bucket: Bucket name.
            keys: Object keys; they are sent in batches of at most 1000.
            timeout: Seconds for each batch.

        Returns:
            ``deleted``, the keys that are gone now, and ``errors``, a `StorageError` for each key that could not be
            removed.

        Raises:
            InvalidParameterError: A name breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
        """
        return await self._run(self._client.delete_objects, bucket, keys, timeout=timeout)

    async def copy_object(
        self,
        source_bucket: str,
        source_key: str,
        bucket: str,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        generation: int | None = None,
        source_if_match: str | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Make a new object of the bytes of another, inside the server.

        All or nothing, like a put. Content type and metadata are the source's, unless one of them is given; then both
        are new.

        Args:
            source_bucket: Where the source is.
            source_key: Key of the source.
            bucket: Where the copy goes; may be another bucket.
            key: Key of the copy.
            content_type: MIME type of the copy.
            metadata: Names and values kept with the copy.
            generation: Copy this generation of the source or fail.
            source_if_match: Copy only a source with this etag.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the copy is gone; it stays if not given.
            timeout: Seconds for the whole call; ten minutes if not given.

        Raises:
            NotFoundError: A bucket, the source or its generation does not exist.
            AlreadyExistsError: `if_absent` and the key is taken.
            PreconditionFailedError: Source or present object are not those of the conditions.
        """
        return await self._run(
            self._client.copy_object,
            source_bucket,
            source_key,
            bucket,
            key,
            content_type=content_type,
            metadata=metadata,
            generation=generation,
            source_if_match=source_if_match,
            if_absent=if_absent,
            if_match=if_match,
            ttl=ttl,
            timeout=timeout,
        )

    async def list_objects(
        self,
        bucket: str,
        prefix: str = "",
        max_keys: int = 1000,
        *,
        delimiter: str = "",
        page_token: str | None = None,
        timeout: float | None = None,
    ) -> ListResult:
        """List objects in byte order of their keys.

        Args:
            bucket: Bucket name.
            prefix: List only keys that begin with it.
            max_keys: Names at most, fetched in as many pages as it takes; 0 lists nothing, and is not truncated.
            delimiter: Roll keys that contain it behind the prefix up into ``common_prefixes``.
            page_token: ``next_page_token`` of a listing with the same bucket, prefix and delimiter.
            timeout: Seconds for each page.

        Raises:
            NotFoundError: The bucket does not exist.
        """
        return await self._run(
            self._client.list_objects,
            bucket,
            prefix,
            max_keys,
            delimiter=delimiter,
            page_token=page_token,
            timeout=timeout,
        )

    def iter_objects(
        self, bucket: str, prefix: str = "", *, timeout: float | None = None
    ) -> AsyncGenerator[ObjectHead, None]:
        """Iterate by ``async for`` over all objects in byte order of their keys, fetched page by page.

        Objects written or removed meanwhile may or may not appear; all others appear once.
        """
        items = self._client.iter_objects(bucket, prefix, timeout=timeout)
        return self._iterate(items, rules.MAX_PAGE)
