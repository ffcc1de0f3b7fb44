"""Buckets, awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorc.storage.models import BucketResult

from .call import ThreadCall
from .session import AsyncSession
from .stream_adapters import progress_for

if TYPE_CHECKING:
    from actorc.storage._rpc.payload import Progress


class AsyncBucketMethods(AsyncSession):
    """The methods of `AsyncStorageClient` about buckets."""

    async def create_bucket(self, bucket: str, *, exist_ok: bool = False, timeout: float | None = None) -> BucketResult:
        """Await `StorageClient.create_bucket`."""
        return await self._run(self._client.create_bucket, bucket, exist_ok=exist_ok, timeout=timeout)

    async def delete_bucket(
        self, bucket: str, *, force: bool = False, progress: Progress | None = None, timeout: float | None = None
    ) -> None:
        """Await `StorageClient.delete_bucket`."""
        call = ThreadCall(self._threads)
        await call.run(
            self._client.delete_bucket, bucket, force=force, progress=progress_for(call, progress), timeout=timeout
        )

    async def list_buckets(self, *, timeout: float | None = None) -> list[BucketResult]:
        """Await `StorageClient.list_buckets`."""
        return await self._run(self._client.list_buckets, timeout=timeout)

    async def bucket_exists(self, bucket: str, *, timeout: float | None = None) -> bool:
        """Await `StorageClient.bucket_exists`."""
        return await self._run(self._client.bucket_exists, bucket, timeout=timeout)
