"""Transfers between the service and files, awaited."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import IO, TYPE_CHECKING

from actorc.storage.models import DownloadResult, ObjectHead, PutResult

from .call import ThreadCall
from .object_file import AsyncObjectFile
from .session import AsyncSession
from .stream_adapters import AsyncByteSource, AsyncWritable, progress_for, sink_for, source_for

if TYPE_CHECKING:
    from actorc.storage._rpc.payload import Progress


class AsyncTransferMethods(AsyncSession):
    """The methods of `AsyncStorageClient` about files and streams."""

    async def upload_file(
        self,
        bucket: str,
        key: str,
        file_path: str | os.PathLike[str],
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        chunk_size: int | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Await `StorageClient.upload_file`."""
        call = ThreadCall(self._threads)
        return await call.run(
            self._client.upload_file,
            bucket,
            key,
            file_path,
            content_type,
            metadata,
            chunk_size,
            if_absent=if_absent,
            if_match=if_match,
            ttl=ttl,
            progress=progress_for(call, progress),
            timeout=timeout,
        )

    async def upload_from_stream(
        self,
        bucket: str,
        key: str,
        stream: AsyncByteSource,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        chunk_size: int | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Await `StorageClient.upload_from_stream`."""
        call = ThreadCall(self._threads)
        return await call.run(
            self._client.upload_from_stream,
            bucket,
            key,
            source_for(call, stream),
            content_type,
            metadata,
            chunk_size,
            if_absent=if_absent,
            if_match=if_match,
            ttl=ttl,
            progress=progress_for(call, progress),
            timeout=timeout,
        )

    async def download_file(
        self,
        bucket: str,
        key: str,
        file_path: str | os.PathLike[str],
        overwrite: bool = False,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> DownloadResult:
        """Await `StorageClient.download_file`."""
        call = ThreadCall(self._threads)
        return await call.run(
            self._client.download_file,
            bucket,
            key,
            file_path,
            overwrite,
            progress=progress_for(call, progress),
            timeout=timeout,
        )

    async def download_to_stream(
        self,
        bucket: str,
        key: str,
        stream: IO[bytes] | AsyncWritable,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> ObjectHead:
        """Await `StorageClient.download_to_stream`."""
        call = ThreadCall(self._threads)
        return await call.run(
            self._client.download_to_stream,
            bucket,
            key,
            sink_for(call, stream),
            progress=progress_for(call, progress),
            timeout=timeout,
        )

    def open_object(
        self,
        bucket: str,
        key: str,
        mode: str = "rb",
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        generation: int | None = None,
        chunk_size: int | None = None,
        encoding: str | None = None,
        newline: str | None = None,
    ) -> AsyncObjectFile:
        """Await the methods of what `StorageClient.open_object` returns, inside ``async with``."""
        opening = partial(
            self._client.open_object,
            bucket,
            key,
            mode,
            content_type=content_type,
            metadata=metadata,
            if_absent=if_absent,
            if_match=if_match,
            ttl=ttl,
            generation=generation,
            chunk_size=chunk_size,
            encoding=encoding,
            newline=newline,
        )
        return AsyncObjectFile(self._threads, opening)
