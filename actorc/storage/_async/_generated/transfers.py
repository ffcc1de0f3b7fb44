"""Generated from ``actorc.storage._client.transfers`` by ``make async-client``; do not edit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import IO, TYPE_CHECKING

from actorc.storage._async.call import ThreadCall
from actorc.storage._async.object_file import AsyncObjectFile
from actorc.storage._async.session import AsyncSession
from actorc.storage._async.stream_adapters import AsyncByteSource, AsyncWritable, progress_for, sink_for, source_for
from actorc.storage.models import DownloadResult, ObjectHead, PutResult

if TYPE_CHECKING:
    from actorc.storage._rpc.payload import Progress


class AsyncTransferMethods(AsyncSession):
    """The methods of ``_client.transfers``, awaited."""

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
        """Store a local file of any size.

        A file of 64 MiB or more is sent in parts, several at once over connections of their own. After a network
        error or a killed process, the same call goes on where it ended: parts that are stored are not sent again,
        as long as the file did not change.

        Args:
            bucket: Bucket name.
            key: Object key.
            file_path: The file.
            content_type: MIME type; guessed from the file's name if not given.
            metadata: Names and values kept with the object.
            chunk_size: Bytes of a part, `DEFAULT_CHUNK_SIZE` if it is None or 0; grows with the file, so that 10000
                parts suffice.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            progress: Called with bytes done and total; the numbers only grow. The task that awaits this calls it.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            FileNotFoundError: There is no such file.
            InvalidParameterError: It is a directory or no regular file, or an argument breaks a rule.
            IntegrityError: The file was written to meanwhile; nothing was stored.
        """
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
        """Store what a stream gives, without holding it in memory whole.

        Nothing is stored unless the stream ends by itself; what it raises is raised here unchanged. A stream longer
        than a part is sent in parts, each from a buffer of its own, so that a broken connection costs a part and not
        the stream.

        Args:
            bucket: Bucket name.
            key: Object key.
            stream: An open binary file, or an iterable of bytes. Asynchronous iterables and files are taken, too.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object.
            chunk_size: Bytes of a part, `DEFAULT_CHUNK_SIZE` if it is None or 0; 1 MiB at least and 32 MiB at most.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            progress: Called with bytes done, which only grow, and the total, None if unknown.
                The task that awaits this calls it.
            timeout: Seconds for the whole call; no limit if not given.
        """
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
        """Write an object to a local file, which is there complete or not at all.

        Missing parent directories are made. An object of 64 MiB or more is fetched in parts, several at once over
        connections of their own, into a hidden file beside the target. It survives network errors and a killed process
        for seven days, and the same call goes on with it.

        Args:
            bucket: Bucket name.
            key: Object key.
            file_path: The file.
            overwrite: Replace a file that is there.
            progress: Called with bytes done and total; the numbers only grow. The task that awaits this calls it.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            FileExistsError: The file exists and `overwrite` is false.
            InvalidParameterError: It is a directory or no regular file.
            NotFoundError: The bucket or the object does not exist; no directory was made.
        """
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
        """Write an object to an open binary file, verified piece by piece.

        Args:
            bucket: Bucket name.
            key: Object key.
            stream: What to write to; it is neither truncated nor closed.
                A file whose ``write`` is awaited is taken, too.
            progress: Called with bytes done and total; the numbers only grow. The task that awaits this calls it.
            timeout: Seconds for the whole call; no limit if not given.
        """
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
        """Return an object as a file whose methods are awaited; ``async with`` opens and closes it.

        A file that is read can be sought in; all of it is of one generation, and what is handed out is verified. A
        file that is written is published when it is closed, all or nothing; an ``async with`` that raises, and a file
        that is never closed, publish nothing.

        Args:
            bucket: Bucket name.
            key: Object key.
            mode: ``"rb"`` or ``"wb"``; ``"r"`` or ``"w"`` for text.
            content_type: Writing: MIME type; guessed from the key if not given.
            metadata: Writing: names and values kept with the object.
            if_absent: Writing: refuse to replace.
            if_match: Read or replace only the object with this etag.
            ttl: Writing: seconds after which the object is gone.
            generation: Reading: read this generation or fail.
            chunk_size: Reading: bytes to read ahead at least, 1 MiB if it is None or 0. Writing: bytes of a part,
                `DEFAULT_CHUNK_SIZE` if it is.
            encoding: Of text; UTF-8 if not given.
            newline: Of text, as `open` takes it.

        Raises:
            NotFoundError: The bucket, the object or the generation does not exist; raised at the first bytes stored
                when writing.
            InvalidParameterError: `mode` is no such mode, or a name breaks a rule.
        """
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
