"""Multipart uploads, awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actorc.storage.models import CompletedPart, NewUpload, PartResult, PutResult, UploadList

from .call import ThreadCall
from .session import AsyncSession
from .stream_adapters import AsyncByteSource, source_for


class AsyncMultipartMethods(AsyncSession):
    """The methods of `AsyncStorageClient` about multipart uploads."""

    async def create_multipart_upload(
        self,
        bucket: str,
        key: str,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        timeout: float | None = None,
    ) -> NewUpload:
        """Await `StorageClient.create_multipart_upload`."""
        return await self._run(
            self._client.create_multipart_upload,
            bucket,
            key,
            content_type,
            metadata,
            if_absent=if_absent,
            if_match=if_match,
            ttl=ttl,
            timeout=timeout,
        )

    async def upload_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        data: AsyncByteSource,
        *,
        timeout: float | None = None,
    ) -> PartResult:
        """Await `StorageClient.upload_part`."""
        call = ThreadCall(self._threads)
        return await call.run(
            self._client.upload_part, bucket, key, upload_id, part_number, source_for(call, data), timeout=timeout
        )

    async def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Iterable[CompletedPart],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Await `StorageClient.complete_multipart_upload`."""
        return await self._run(
            self._client.complete_multipart_upload,
            bucket,
            key,
            upload_id,
            parts,
            if_absent=if_absent,
            if_match=if_match,
            timeout=timeout,
        )

    async def abort_multipart_upload(
        self, bucket: str, key: str, upload_id: str, *, timeout: float | None = None
    ) -> None:
        """Await `StorageClient.abort_multipart_upload`."""
        await self._run(self._client.abort_multipart_upload, bucket, key, upload_id, timeout=timeout)

    async def list_parts(
        self, bucket: str, key: str, upload_id: str, *, timeout: float | None = None
    ) -> list[PartResult]:
        """Await `StorageClient.list_parts`."""
        return await self._run(self._client.list_parts, bucket, key, upload_id, timeout=timeout)

    async def list_multipart_uploads(
        self,
        bucket: str,
        prefix: str = "",
        max_uploads: int = 1000,
        *,
        page_token: str | None = None,
        timeout: float | None = None,
    ) -> UploadList:
        """Await `StorageClient.list_multipart_uploads`."""
        return await self._run(
            self._client.list_multipart_uploads, bucket, prefix, max_uploads, page_token=page_token, timeout=timeout
        )
