"""Generated from ``client.py`` and ``_client`` by ``make async-client``; do not edit it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from functools import partial
from typing import IO, TYPE_CHECKING, Literal, overload

from actorc.storage import rules
from actorc.storage._async.object_file import AsyncObjectFile
from actorc.storage._async.session import MAX_THREADS, AsyncSession
from actorc.storage._async.stream_adapters import AsyncByteSource, AsyncWritable, progress_for, sink_for, source_for
from actorc.storage._async.thread_call import ThreadCall
from actorc.storage._retry import RetryPolicy
from actorc.storage.models import (
    BucketResult,
    CompletedPart,
    DeleteObjectsResult,
    DownloadResult,
    GetObjectsResult,
    ListResult,
    NewObject,
    NewUpload,
    ObjectHead,
    PartResult,
    PutObjectsResult,
    PutResult,
    ServerInfoResult,
    UploadList,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from actorc.storage._rpc.payload import Progress
    from actorc.storage.files.seekable_reader import BlobFile


class AsyncMethods(AsyncSession):
    """The methods of `AsyncStorageClient`."""

    def __init__(
        self,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        use_ssl: bool = False,
        *,
        ca_file: str | os.PathLike[str] | None = None,
        cert_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
        http_endpoint: str | None = None,
        timeout: float | None = None,
        idle_timeout: float = 60.0,
        retry: RetryPolicy | None = None,
        local: bool | None = None,
        profile: str | None = None,
        max_threads: int = MAX_THREADS,
    ) -> None:
        self._open(
            endpoint=endpoint,
            access_key=access_key,
            secret_key=secret_key,
            use_ssl=use_ssl,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            http_endpoint=http_endpoint,
            timeout=timeout,
            idle_timeout=idle_timeout,
            retry=retry,
            local=local,
            profile=profile,
            max_threads=max_threads,
        )

    @property
    def endpoint(self) -> str:
        """``host:port`` of the server, or of several with commas between them."""
        return self._client.endpoint

    @property
    def access_key(self) -> str | None:
        """The access key in use."""
        return self._client.access_key

    @property
    def secret_key(self) -> str | None:
        """The secret key in use."""
        return self._client.secret_key

    @property
    def use_ssl(self) -> bool:
        """Whether the connection uses TLS."""
        return self._client.use_ssl

    async def server_info(self, *, timeout: float | None = None) -> ServerInfoResult:
        """Return the server's version, engine, limits and capabilities, and the transport that leads to it."""
        return await self._run(self._client.server_info, timeout=timeout)

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
        server's engine is durable. A buffer of 64 MiB or more is sent over more than one connection only if that is
        faster.

        Args:
            bucket: Bucket name.
            key: Object key.
            data: Any bytes-like object whose memory is contiguous, such as bytes, an array, a map of a file or a
                `pyarrow.Buffer`; a list or tuple of them, which are stored one after the other; also an open binary
                file, which is read from where it stands, or an iterable of bytes, neither of which is ever held in
                memory whole. Asynchronous iterables and files are taken, too.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object, 8 KiB in total.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            timeout: Seconds for the whole call.

        Raises:
            InvalidParameterError: A name, `data` or `metadata` breaks a rule, or `data` is a file at its end; nothing
                was sent.
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

    async def head_object(self, bucket: str, key: str, *, timeout: float | None = None) -> ObjectHead:
        """Return the description of an object without reading it.

        Raises:
            NotFoundError: The bucket or the object does not exist.
        """
        return await self._run(self._client.head_object, bucket, key, timeout=timeout)

    async def object_exists(self, bucket: str, key: str, *, timeout: float | None = None) -> bool:
        """Return whether there is such an object; raises if that cannot be found out."""
        return await self._run(self._client.object_exists, bucket, key, timeout=timeout)

    async def delete_object(
        self, bucket: str, key: str, *, if_match: str | None = None, timeout: float | None = None
    ) -> None:
        """Remove an object; a missing one is no error.

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
            source_bucket: Bucket of the source.
            source_key: Key of the source.
            bucket: Bucket of the copy; may be another one.
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
            PreconditionFailedError: The source or the current object is not that of its condition.
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
        details: bool = True,
        timeout: float | None = None,
    ) -> ListResult:
        """List objects in byte order of their keys.

        Args:
            bucket: Bucket name.
            prefix: List only keys that begin with it.
            max_keys: Names at most, fetched in as many pages as it takes; 0 lists nothing, and is not truncated.
            delimiter: Roll keys that contain it behind the prefix up into ``common_prefixes``.
            page_token: ``next_page_token`` of a listing with the same bucket, prefix and delimiter.
            details: Whether to describe objects in full; otherwise only bucket, key, size and last_modified are given
                and the rest is empty. A server over another store, such as S3, then makes no request for each object,
                and lists those that other programs put there, too.
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
            details=details,
            timeout=timeout,
        )

    def iter_objects(
        self, bucket: str, prefix: str = "", *, details: bool = True, timeout: float | None = None
    ) -> AsyncGenerator[ObjectHead, None]:
        """Iterate by ``async for`` over all objects in byte order of their keys, fetched page by page.

        Objects written or removed meanwhile may or may not appear; all others appear once. `details` is that of
        `list_objects`.
        """
        items = self._client.iter_objects(bucket, prefix, details=details, timeout=timeout)
        return self._iterate(items, rules.MAX_PAGE)

    @overload
    async def get_object(
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
    async def get_object(
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
    async def get_object(
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
    async def get_object(
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

    async def get_object(
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
        return await self._run(
            self._client.get_object,
            bucket,
            key,
            offset=offset,
            length=length,
            generation=generation,
            if_match=if_match,
            as_view=as_view,
            out=out,
            timeout=timeout,
        )

    async def get_ranges(
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
        return await self._run(
            self._client.get_ranges, bucket, key, ranges, generation=generation, if_match=if_match, timeout=timeout
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

        Over a slow link what follows is fetched by several connections, and at most 64 MiB of it are held.
        All pieces are of one generation. A broken connection is resumed at the byte where it broke. Arguments and
        errors are those of `get_object`; arguments are checked at once, the rest is raised by ``async for``.
        """
        items = self._client.stream_object(
            bucket, key, offset=offset, length=length, generation=generation, if_match=if_match, timeout=timeout
        )
        return self._iterate(items, 1)

    async def put_objects(
        self, bucket: str, objects: Mapping[str, Buffer] | Iterable[NewObject], *, timeout: float | None = None
    ) -> PutObjectsResult:
        """Store any number of small objects in few calls, each of them all or nothing, independently of each other.

        When this returns, those in ``stored`` are on disk, if the server's engine is durable. Objects of more than
        128 KiB go one by one.

        Args:
            bucket: Bucket name.
            objects: Bytes by key, or a dict for each object: ``key``, ``data`` and, if wanted, the other arguments of
                `put_object`. The bytes are any bytes-like objects whose memory is contiguous, and no key is there
                twice. They are sent in batches of at most 1000, and of at most 4 MiB.
            timeout: Seconds for each batch.

        Returns:
            ``stored``, the results of `put_object` in the order of `objects`, and ``errors``, a `StorageError` for each
            key that could not be stored.

        Raises:
            InvalidParameterError: One of the objects breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
            NetworkError: The service stayed out of reach; some may be stored.
        """
        return await self._run(self._client.put_objects, bucket, objects, timeout=timeout)

    async def get_objects(self, bucket: str, keys: Iterable[str], *, timeout: float | None = None) -> GetObjectsResult:
        """Return any number of small objects, read in few calls, each verified against its checksum.

        All of them are held in memory. Objects of more than 128 KiB are read one by one.

        Args:
            bucket: Bucket name.
            keys: Object keys; they are asked for in batches of at most 1000.
            timeout: Seconds for each batch.

        Returns:
            ``objects``, for each the dict that `head_object` returns with its bytes as ``data``, in the order of
            `keys`, and ``errors``, a `StorageError` for each key that could not be read, such as a `NotFoundError`.

        Raises:
            InvalidParameterError: A name breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
            NetworkError: The service stayed out of reach.
        """
        return await self._run(self._client.get_objects, bucket, keys, timeout=timeout)

    async def delete_objects(
        self, bucket: str, keys: Iterable[str], *, timeout: float | None = None
    ) -> DeleteObjectsResult:
        """Remove any number of objects, independently of each other; a missing one is no error.

        Args:
            bucket: Bucket name.
            keys: Object keys; they are sent in batches of at most 1000.
            timeout: Seconds for each batch.

        Returns:
            ``deleted``, the keys without an object now, and ``errors``, a `StorageError` for each key that could not be
            removed.

        Raises:
            InvalidParameterError: A name breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
        """
        return await self._run(self._client.delete_objects, bucket, keys, timeout=timeout)

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

        A file of 64 MiB or more is sent in parts, over more than one connection only if that is faster. After a network
        error or a killed process, the same call goes on where it ended: parts that are stored are not sent again,
        as long as the file did not change. A server on the same machine copies the file itself, if that is on a local
        file system, and stores it as a whole.

        Args:
            bucket: Bucket name.
            key: Object key.
            file_path: The file.
            content_type: MIME type; guessed from the file's name if not given.
            metadata: Names and values kept with the object.
            chunk_size: Bytes of a part; if it is None or 0, a sixteenth of the file, but `DEFAULT_CHUNK_SIZE` at
                least and 32 MiB at most. Parts grow with the file, so that 10000 suffice.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            progress: Called with bytes done and total; the numbers never decrease. The task that awaits this calls it.
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
        """Store the bytes of a stream, without holding all of them in memory.

        Nothing is stored unless the stream ends without an error; its exceptions are raised here unchanged. A stream
        longer than a part is sent in parts, each from a buffer of its own, so a broken connection costs a part and not
        the stream.

        Args:
            bucket: Bucket name.
            key: Object key.
            stream: An open binary file, which is read from where it stands, an iterable of bytes, or any bytes-like
                object. Asynchronous iterables and files are taken, too.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object.
            chunk_size: Bytes of a part, `DEFAULT_CHUNK_SIZE` if it is None or 0; 1 MiB at least and 32 MiB at most.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            progress: Called with bytes done, which never decrease, and the total, None if unknown.
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
        """Write an object to a local file, which appears complete or not at all.

        Missing parent directories are made. An object of 64 MiB or more is fetched into a hidden file beside the
        target, over more than one connection only if that is faster. The file survives network errors and a killed
        process for seven days, and the same call goes on with it. From a server on the same machine the file of the
        object is copied, and the copy verified.

        Args:
            bucket: Bucket name.
            key: Object key.
            file_path: The file.
            overwrite: Whether to replace an existing file.
            progress: Called with bytes done and total; the numbers never decrease. The task that awaits this calls it.
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
            stream: The file to write to; it is neither truncated nor closed.
                A file whose ``write`` is awaited is taken, too.
            progress: Called with bytes done and total; the numbers never decrease. The task that awaits this calls it.
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
        errors: str | None = None,
        newline: str | None = None,
    ) -> AsyncObjectFile:
        """Return an object as a file whose methods are awaited; ``async with`` opens and closes it.

        A file that is read is seekable; all of it is of one generation, and its bytes are verified. It fetches what is
        asked for, and more only while reading goes on; what it fetched last, up to 16 MiB, it keeps. A file that is
        written is published when it is closed, all or nothing; an ``async with`` that raises, and a file that is never
        closed, publish nothing.

        What is written is sent meanwhile. A program that goes back to change it, as those for HDF5 and TIFF do, writes
        into a temporary file, from its first `seek` on or, with ``"w+b"``, from the beginning; that is sent by `close`.

        Args:
            bucket: Bucket name.
            key: Object key.
            mode: ``"rb"`` reads, ``"wb"`` writes, ``"xb"`` writes a new object only, ``"w+b"`` and ``"x+b"`` let the
                program read and change what it has written; ``"r"``, ``"w"`` and ``"x"`` are for text, also written
                ``"rt"``, ``"wt"`` and ``"xt"``.
            content_type: Writing: MIME type; guessed from the key if not given.
            metadata: Writing: names and values kept with the object.
            if_absent: Writing: refuse to replace, as ``"x"`` does, but when the first bytes are stored.
            if_match: Read or replace only the object with this etag.
            ttl: Writing: seconds after which the object is gone.
            generation: Reading: read this generation or fail.
            chunk_size: Reading: bytes to fetch at once, at most, beyond those that are asked for, 8 MiB if it is None
                or 0; from a server on the same machine this says nothing. Writing: bytes of a part,
                `DEFAULT_CHUNK_SIZE` if it is.
            encoding: Encoding of text; UTF-8 if not given.
            errors: What becomes of text that cannot be encoded or decoded, as in `open`.
            newline: Line ends of text, as in `open`.

        Raises:
            NotFoundError: The bucket, the object or the generation does not exist; raised at the first bytes stored
                when writing.
            AlreadyExistsError: The key is taken, and the mode has an ``"x"``.
            InvalidParameterError: `mode` is none of these, or a name breaks a rule.
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
            errors=errors,
            newline=newline,
        )
        return AsyncObjectFile(self._threads, opening)

    async def open_blob(
        self,
        bucket: str,
        key: str,
        *,
        generation: int | None = None,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> BlobFile | None:
        """Open the very file in which a server on this machine keeps an object, for a caller that verifies it.

        Nothing is copied or read. `get_object` with `as_view`, and `open_object`, verify what they give.

        Args:
            bucket: Bucket name.
            key: Object key.
            generation: Open this generation or fail.
            if_match: Open only the object with this etag.
            timeout: Seconds for the whole call.

        Returns:
            The file; None if the server is elsewhere, or the object is not in one file of its own.

        Raises:
            NotFoundError: The bucket, the object or the generation does not exist; told by a server on this machine.
            PreconditionFailedError: The object is not the one of `if_match`.
        """
        return await self._run(
            self._client.open_blob, bucket, key, generation=generation, if_match=if_match, timeout=timeout
        )

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
        """Begin an object that is sent in parts; nothing is visible until `complete_multipart_upload` returns.

        An upload that is neither completed nor aborted is removed by the server some days after its last part.

        Args:
            bucket: Bucket name.
            key: Object key.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object.
            if_absent: Refuse to replace; judged now and again when the upload is completed.
            if_match: Replace only the object with this etag; judged twice, too.
            ttl: Seconds, from completion on, after which the object is gone; it stays if not given.
            timeout: Seconds for the whole call.

        Raises:
            NotFoundError: The bucket does not exist.
            AlreadyExistsError: `if_absent` and the key is taken.
            PreconditionFailedError: The current object is not the one of `if_match`.
        """
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
        """Store a part, replacing the one of this number; it is on disk when this returns.

        Parts may be of any size, be sent in any order, from any thread, process and machine.

        Args:
            bucket: Bucket name.
            key: Object key.
            upload_id: The result of `create_multipart_upload`.
            part_number: 1 to 10000; parts are joined in this order.
            data: A bytes-like object, an open binary file or an iterable of bytes.
                Asynchronous iterables and files are taken, too.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            UploadNotFoundError: There is no such upload under this key, or not any more.
        """
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
        """Make the object of its parts. All or nothing, like a put.

        Args:
            bucket: Bucket name.
            key: Object key.
            upload_id: The result of `create_multipart_upload`.
            parts: ``{"part_number": …, "etag": …}`` for each part, in ascending order, as `upload_part` and
                `list_parts` return them; parts that are not named are dropped.
            if_absent: Refuse to replace; in addition to what the upload was begun with.
            if_match: Replace only the object with this etag; in addition, too.
            timeout: Seconds for the whole call; if not given, ten minutes, and more for parts that tell their size.

        Raises:
            UploadNotFoundError: There is no such upload under this key, or not any more.
            InvalidParameterError: A part was not stored, or with another etag, or the order is wrong.
            AlreadyExistsError: `if_absent`, here or at the beginning, and the key is taken.
            PreconditionFailedError: The current object is not the one of `if_match`.
        """
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
        """Drop an upload and its parts; a missing one is no error."""
        await self._run(self._client.abort_multipart_upload, bucket, key, upload_id, timeout=timeout)

    async def list_parts(
        self, bucket: str, key: str, upload_id: str, *, timeout: float | None = None
    ) -> list[PartResult]:
        """Return all parts stored so far, in order of their numbers.

        Raises:
            UploadNotFoundError: There is no such upload under this key, or not any more.
        """
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
        """List uploads under way in order of key, then of their beginning.

        Args:
            bucket: Bucket name.
            prefix: List only uploads whose key begins with it.
            max_uploads: Uploads at most, fetched in as many pages as it takes; 0 lists nothing, and is not truncated.
            page_token: ``next_page_token`` of a listing with the same bucket and prefix.
            timeout: Seconds for each page.

        Raises:
            NotFoundError: The bucket does not exist.
        """
        return await self._run(
            self._client.list_multipart_uploads, bucket, prefix, max_uploads, page_token=page_token, timeout=timeout
        )

    async def create_bucket(self, bucket: str, *, exist_ok: bool = False, timeout: float | None = None) -> BucketResult:
        """Make a bucket.

        Args:
            bucket: 3-63 lower-case letters, digits and hyphens, with a letter or digit at both ends.
            exist_ok: Whether an existing bucket is no error.
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
            force: Remove all of its objects first, in batches. Objects written meanwhile may make the last step fail;
                removed objects stay removed. Uploads under way always go with the bucket.
            progress: Called with the objects removed so far, and None. The task that awaits this calls it.
            timeout: Seconds for each call that is made.

        Raises:
            NotFoundError: It does not exist.
            PreconditionFailedError: It contains objects.
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
        """Return whether there is such a bucket; raises if that cannot be found out."""
        return await self._run(self._client.bucket_exists, bucket, timeout=timeout)

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
        """Return a URL that allows its holder one method on one object for a time, over HTTP and without keys.

        The URL ends early if the access key that signed it is disabled or its secret replaced. A client with keys that
        knows the server's HTTP endpoint makes the URL itself; otherwise the server makes it. Nobody checks that the
        object exists.

        Args:
            bucket: Bucket name.
            key: Object key.
            method: GET, which includes HEAD, HEAD, PUT or DELETE.
            expires: Validity in seconds, at most seven days.
            max_size: With PUT, greatest number of bytes; a longer body is broken off and not stored.
            content_type: With PUT, the Content-Type that the request must have.
            timeout: Seconds for the whole call.

        Raises:
            InvalidParameterError: A value is not allowed, or means nothing for this method.
            PermissionError: The access key does not allow this method, or does not allow presigning it.
            UnsupportedError: The server is not reached over HTTP.
        """
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
