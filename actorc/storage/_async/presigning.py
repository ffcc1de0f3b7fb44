"""Presigned URLs, awaited."""

from __future__ import annotations

from .session import AsyncSession


class AsyncPresigningMethods(AsyncSession):
    """The methods of `AsyncStorageClient` about URLs."""

    async def presign_url(
        self,
        bucket: str,
        key: str,
        method: str = "GET",
        expires: int = 3600,
        *,
        max_size: int | None = None,
        content_type: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Await `StorageClient.presign_url`."""
        return await self._run(
            self._client.presign_url,
            bucket,
            key,
            method,
            expires,
            max_size=max_size,
            content_type=content_type,
            timeout=timeout,
        )
