"""Objects, awaited."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping

from actorc.storage import rules
from actorc.storage.models import DeleteObjectsResult, ListResult, ObjectHead, PutResult

from .call import ThreadCall
from .session import AsyncSession
from .stream_adapters import AsyncByteSource, source_for


class AsyncObjectMethods(AsyncSession):
    """The methods of `AsyncStorageClient` about objects in memory."""

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
        """Await `StorageClient.put_object`."""
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
        """Await `StorageClient.get_object`."""
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
        """Await each item of `StorageClient.stream_object`."""
        return self._iterate(
            self._client.stream_object(
                bucket, key, offset=offset, length=length, generation=generation, if_match=if_match, timeout=timeout
            ),
            1,
        )

    async def head_object(self, bucket: str, key: str, *, timeout: float | None = None) -> ObjectHead:
        """Await `StorageClient.head_object`."""
        return await self._run(self._client.head_object, bucket, key, timeout=timeout)

    async def object_exists(self, bucket: str, key: str, *, timeout: float | None = None) -> bool:
        """Await `StorageClient.object_exists`."""
        return await self._run(self._client.object_exists, bucket, key, timeout=timeout)

    async def delete_object(
        self, bucket: str, key: str, *, if_match: str | None = None, timeout: float | None = None
    ) -> None:
        """Await `StorageClient.delete_object`."""
        await self._run(self._client.delete_object, bucket, key, if_match=if_match, timeout=timeout)

    async def delete_objects(
        self, bucket: str, keys: Iterable[str], *, timeout: float | None = None
    ) -> DeleteObjectsResult:
        """Await `StorageClient.delete_objects`."""
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
        """Await `StorageClient.copy_object`."""
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
        """Await `StorageClient.list_objects`."""
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
        """Await each item of `StorageClient.iter_objects`."""
        return self._iterate(self._client.iter_objects(bucket, prefix, timeout=timeout), rules.MAX_PAGE)
