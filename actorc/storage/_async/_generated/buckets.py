"""Generated from ``actorc.storage._client.buckets`` by ``make async-client``; do not edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorc.storage._async.call import ThreadCall
from actorc.storage._async.session import AsyncSession
from actorc.storage._async.stream_adapters import progress_for
from actorc.storage.models import BucketResult

if TYPE_CHECKING:
    from actorc.storage._rpc.payload import Progress


class AsyncBucketMethods(AsyncSession):
    """The methods of ``_client.buckets``, awaited."""

    async def create_bucket(self, bucket: str, *, exist_ok: bool = False, timeout: float | None = None) -> BucketResult:
        """Make a bucket.

        Args:
            bucket: 3-63 lower-case letters, digits and hyphens, with a letter or digit at both ends.
            exist_ok: Do not mind if it is there.
            timeout: Seconds for the whole call.

        Raises:
            AlreadyExistsError: It exists and `exist_ok` is false.
        """
        return await self._run(self._client.create_bucket, bucket, exist_ok=exist_ok, timeout=timeout)

    async def delete_bucket(
        self, bucket: str, *, force: bool = False, progress: Progress | None = None, timeout: float | None = None
    ) -> None:
        """Remove a bucket; it must be empty, unless `force` is given.

        Args:
            bucket: Bucket name.
            force: Remove all of its objects first, in batches. What is written meanwhile may make the bucket stay;
                what was removed is gone then. Uploads under way always go with it.
            progress: Called with the objects removed so far, and None. The task that awaits this calls it.
            timeout: Seconds for each call that is made.

        Raises:
            NotFoundError: It does not exist.
            PreconditionFailedError: It holds objects.
            StorageError: With `force`, the first object that could not be removed.
        """
        call = ThreadCall(self._threads)
        await call.run(
            self._client.delete_bucket, bucket, force=force, progress=progress_for(call, progress), timeout=timeout
        )

    async def list_buckets(self, *, timeout: float | None = None) -> list[BucketResult]:
        """Return all buckets in order of name."""
        return await self._run(self._client.list_buckets, timeout=timeout)

    async def bucket_exists(self, bucket: str, *, timeout: float | None = None) -> bool:
        """Return whether there is such a bucket; a failure to find out is raised, not answered."""
        return await self._run(self._client.bucket_exists, bucket, timeout=timeout)
