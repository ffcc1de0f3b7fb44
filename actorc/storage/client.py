"""`StorageClient`: every method a user can call, straight-line.

Importing this module loads neither gRPC nor protobuf; the first call does.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from . import _files, _results, rules
from ._retry import RetryPolicy
from .config import ClientOptions
from .errors import NotFoundError
from .models import (
    BucketResult,
    DownloadResult,
    ListQuery,
    ListResult,
    ObjectAttributes,
    ObjectHead,
    ObjectInfo,
    PutResult,
    ServerInfoResult,
)

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._remote import RemoteStore
    from ._transfer import ByteSource, Download, Progress, Upload


class StorageClient:
    """An object storage service, reached over gRPC.

    Safe to share between threads, usable in a forked child. Nothing is sent before the first call. Every call that
    fails for a passing reason is tried again, and a retry never changes anything twice. A pickled client carries
    no keys: the process that unpickles it takes them from its own environment.

    Args:
        endpoint: ``host:port``; else ``STORAGE_ENDPOINT``, else ``localhost:9000``.
        access_key: Names the caller; else ``STORAGE_ACCESS_KEY``.
        secret_key: Proves the caller, and never leaves this process; else ``STORAGE_SECRET_KEY``.
        use_ssl: Whether to use TLS.
        timeout: Seconds a call may take unless it says otherwise; transfers of unbounded size have no such limit.
        idle_timeout: Seconds a transfer may stand still.
        retry: When to try again.

    Raises:
        InvalidParameterError: The endpoint is no ``host:port``, or one key comes without the other.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        use_ssl: bool = False,
        *,
        timeout: float = 30.0,
        idle_timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._recipe: dict[str, Any] = {
            "endpoint": endpoint,
            "use_ssl": use_ssl,
            "timeout": timeout,
            "idle_timeout": idle_timeout,
        }
        self._retry = retry or RetryPolicy()
        self._options = ClientOptions.resolve(
            endpoint, access_key, secret_key, use_ssl, timeout=timeout, idle_timeout=idle_timeout
        )
        self._store: RemoteStore | None = None

    @property
    def endpoint(self) -> str:
        """The server's ``host:port``."""
        return self._options.endpoint

    @property
    def access_key(self) -> str | None:
        """The access key in use."""
        return self._options.access_key

    @property
    def secret_key(self) -> str | None:
        """The secret key in use."""
        return self._options.secret_key

    @property
    def use_ssl(self) -> bool:
        """Whether the connection uses TLS."""
        return self._options.use_ssl

    def put_object(
        self,
        bucket: str,
        key: str,
        data: ByteSource,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Store `data` under `key`, replacing what was there.

        All or nothing: readers see the old object or the new one. When this returns, the object is on disk, if the
        server's engine is durable.

        Args:
            bucket: Bucket name.
            key: Object key.
            data: A bytes-like object; also an open binary file or an iterable of bytes, which is never held in
                memory whole.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object, 8 KiB in total.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            timeout: Seconds for the whole call.

        Raises:
            InvalidParameterError: A name, `data` or `metadata` breaks a rule; nothing was sent.
            NotFoundError: The bucket does not exist.
            AlreadyExistsError: `if_absent` and the key is taken.
            PreconditionFailedError: The present object is not the one of `if_match`.
            NetworkError: The service stayed out of reach.
        """
        attributes = _attributes(content_type or rules.guess_content_type(str(key)), metadata)
        return self._put(bucket, key, self._upload(data), attributes, if_absent, if_match, timeout)

    def get_object(
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
        buffer = io.BytesIO()
        for piece in self.stream_object(
            bucket, key, offset=offset, length=length, generation=generation, if_match=if_match, timeout=timeout
        ):
            buffer.write(piece)
        return buffer.getvalue()

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

        All pieces are of one generation. A broken connection is resumed at the byte where it broke. Arguments and
        errors are those of `get_object`; arguments are checked at once, the rest is raised while iterating.
        """
        download = self._download(bucket, key, offset, length, generation)
        return self._pieces(bucket, key, download, if_match, timeout)

    def head_object(self, bucket: str, key: str, *, timeout: float | None = None) -> ObjectHead:
        """Describe an object without reading it.

        Raises:
            NotFoundError: The bucket or the object does not exist.
        """
        return _results.object_head(self._remote.head(*_checked(bucket, key), timeout))

    def object_exists(self, bucket: str, key: str, *, timeout: float | None = None) -> bool:
        """Return whether there is such an object; a failure to find out is raised, not answered."""
        try:
            self.head_object(bucket, key, timeout=timeout)
        except NotFoundError:
            return False
        return True

    def delete_object(
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
        condition = rules.check_condition(if_absent=False, if_match=if_match)
        self._remote.delete(*_checked(bucket, key), condition, timeout)

    def upload_file(
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
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Store a local file; as a stream, so that its size does not matter.

        Args:
            bucket: Bucket name.
            key: Object key.
            file_path: The file.
            content_type: MIME type; guessed from the file's name if not given.
            metadata: Names and values kept with the object.
            chunk_size: Bytes read at once, 5 MiB if not given; frames on the wire are 1 MiB at most.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            progress: Called with bytes done and total; the numbers only grow.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            FileNotFoundError: There is no such file.
            InvalidParameterError: It is a directory or no regular file, or an argument breaks a rule.
            IntegrityError: The file was written to meanwhile; nothing was stored.
        """
        _checked(bucket, key)
        path = _files.checked_path(file_path)
        attributes = _attributes(content_type or rules.guess_content_type(path.name), metadata)
        with _files.SteadyFile(path) as source:
            upload = self._upload(source.file, chunk_size, progress, source.check)
            return self._put(bucket, key, upload, attributes, if_absent, if_match, timeout)

    def upload_from_stream(
        self,
        bucket: str,
        key: str,
        stream: ByteSource,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        chunk_size: int | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Store what a stream gives, without holding it in memory.

        Nothing is stored unless the stream ends by itself; what it raises is raised here unchanged.

        Args:
            bucket: Bucket name.
            key: Object key.
            stream: An open binary file, or an iterable of bytes.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object.
            chunk_size: Bytes read at once, 5 MiB if not given; frames on the wire are 1 MiB at most.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            progress: Called with bytes done, which only grow, and the total, None if unknown.
            timeout: Seconds for the whole call; no limit if not given.
        """
        attributes = _attributes(content_type or rules.guess_content_type(str(key)), metadata)
        upload = self._upload(stream, chunk_size, progress)
        return self._put(bucket, key, upload, attributes, if_absent, if_match, timeout)

    def download_file(
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

        Missing parent directories are made.

        Args:
            bucket: Bucket name.
            key: Object key.
            file_path: The file.
            overwrite: Replace a file that is there.
            progress: Called with bytes done and total; the numbers only grow.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            FileExistsError: The file exists and `overwrite` is false.
            InvalidParameterError: It is a directory or no regular file.
            NotFoundError: The bucket or the object does not exist; no directory was made.
        """
        path = _files.checked_path(file_path)
        download = self._download(bucket, key)
        _files.check_target(path, overwrite)
        pieces = self._pieces(bucket, key, download, None, timeout, progress)
        first = next(pieces, b"")
        with _files.whole_target(path, overwrite) as file:
            file.write(first)
            for piece in pieces:
                file.write(piece)
        return _results.download_result(_described(download), str(path))

    def download_to_stream(
        self,
        bucket: str,
        key: str,
        stream: IO[bytes],
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> ObjectHead:
        """Write an object to an open binary file, verified piece by piece.

        Args:
            bucket: Bucket name.
            key: Object key.
            stream: What to write to; it is neither truncated nor closed.
            progress: Called with bytes done and total; the numbers only grow.
            timeout: Seconds for the whole call; no limit if not given.
        """
        download = self._download(bucket, key)
        for piece in self._pieces(bucket, key, download, None, timeout, progress):
            stream.write(piece)
        return _results.object_head(_described(download))

    def list_objects(
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
            max_keys: Names at most; beyond 1000 they are fetched in pages.
            delimiter: Roll keys that contain it behind the prefix up into ``common_prefixes``.
            page_token: ``next_page_token`` of a listing with the same bucket, prefix and delimiter.
            timeout: Seconds for each page.

        Raises:
            NotFoundError: The bucket does not exist.
        """
        query = _query(bucket, prefix, delimiter)
        left, token = rules.check_positive(max_keys, "max_keys"), page_token or ""
        objects: list[ObjectInfo] = []
        prefixes: list[str] = []
        while True:
            part = replace(query, limit=min(left, rules.MAX_PAGE))
            some, rolled_up, token = self._remote.page(part, token, timeout)
            objects += some
            prefixes += rolled_up
            left -= len(some) + len(rolled_up)
            if not token or left <= 0:
                return _results.list_result(bucket, prefix, objects, prefixes, token)

    def iter_objects(self, bucket: str, prefix: str = "", *, timeout: float | None = None) -> Iterator[ObjectHead]:
        """Iterate over all objects in byte order of their keys, fetched page by page.

        Objects written or removed meanwhile may or may not appear; all others appear once.
        """
        return self._all_objects(_query(bucket, prefix, ""), timeout)

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, timeout: float | None = None) -> BucketResult:
        """Make a bucket.

        Args:
            bucket: 3-63 lower-case letters, digits and hyphens, with a letter or digit at both ends.
            exist_ok: Do not mind if it is there.
            timeout: Seconds for the whole call.

        Raises:
            AlreadyExistsError: It exists and `exist_ok` is false.
        """
        return _results.bucket_result(
            self._remote.create_bucket(rules.check_bucket(bucket), exist_ok=exist_ok, timeout=timeout)
        )

    def delete_bucket(self, bucket: str, *, timeout: float | None = None) -> None:
        """Remove an empty bucket.

        Raises:
            NotFoundError: It does not exist.
            PreconditionFailedError: It holds objects.
        """
        self._remote.delete_bucket(rules.check_bucket(bucket), timeout)

    def list_buckets(self, *, timeout: float | None = None) -> list[BucketResult]:
        """Return all buckets in order of name."""
        return [_results.bucket_result(info) for info in self._remote.buckets(timeout)]

    def bucket_exists(self, bucket: str, *, timeout: float | None = None) -> bool:
        """Return whether there is such a bucket; a failure to find out is raised, not answered."""
        try:
            self._remote.head_bucket(rules.check_bucket(bucket), timeout)
        except NotFoundError:
            return False
        return True

    def server_info(self, *, timeout: float | None = None) -> ServerInfoResult:
        """Return the server's version, engine, limits and capabilities."""
        return _results.server_info_result(self._remote.server_info(timeout))

    def close(self) -> None:
        """Close the connection; calling it again does nothing."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(endpoint={self.endpoint!r}, use_ssl={self.use_ssl})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._recipe, retry=self._retry), ()

    @property
    def _remote(self) -> RemoteStore:
        if self._store is None:
            from ._remote import RemoteStore  # noqa: PLC0415  # loads gRPC, which importing this module must not

            self._store = RemoteStore(self._options, self._retry)
        return self._store

    def _upload(
        self,
        source: ByteSource,
        chunk_size: int | None = None,
        progress: Progress | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Upload:
        from ._transfer import Upload  # noqa: PLC0415  # loads the checksum library

        size = rules.DEFAULT_CHUNK_SIZE if chunk_size is None else rules.check_positive(chunk_size, "chunk_size")
        return Upload(source, size, progress, check)

    def _put(
        self,
        bucket: str,
        key: str,
        upload: Upload,
        attributes: ObjectAttributes,
        if_absent: bool,
        if_match: str | None,
        timeout: float | None,
    ) -> PutResult:
        condition = rules.check_condition(if_absent=if_absent, if_match=if_match)
        info = self._remote.put(*_checked(bucket, key), upload, attributes, condition, timeout=timeout)
        return _results.put_result(info)

    def _download(
        self, bucket: str, key: str, offset: int = 0, length: int | None = None, generation: int | None = None
    ) -> Download:
        from ._transfer import Download  # noqa: PLC0415  # loads the checksum library

        _checked(bucket, key)
        part = rules.check_range(offset, length)
        return Download(part, None if generation is None else rules.check_positive(generation, "generation"))

    def _pieces(
        self,
        bucket: str,
        key: str,
        download: Download,
        if_match: str | None,
        timeout: float | None,
        progress: Progress | None = None,
    ) -> Iterator[bytes]:
        rules.check_condition(if_absent=False, if_match=if_match)
        for piece in self._remote.read(bucket, key, download, if_match=if_match, timeout=timeout):
            if progress is not None:
                progress(download.received, _described(download).size)
            yield piece if isinstance(piece, bytes) else bytes(piece)

    def _all_objects(self, query: ListQuery, timeout: float | None) -> Iterator[ObjectHead]:
        token = ""
        while True:
            objects, _, token = self._remote.page(query, token, timeout)
            yield from map(_results.object_head, objects)
            if not token:
                return


def _checked(bucket: str, key: str) -> tuple[str, str]:
    return rules.check_bucket(bucket), rules.check_key(key, bucket)


def _attributes(content_type: str, metadata: Mapping[str, str] | None) -> ObjectAttributes:
    return ObjectAttributes(
        content_type=rules.check_content_type(content_type), metadata=rules.check_metadata(metadata)
    )


def _query(bucket: str, prefix: str, delimiter: str) -> ListQuery:
    return ListQuery(
        bucket=rules.check_bucket(bucket),
        prefix=rules.check_prefix(prefix),
        delimiter=rules.check_prefix(delimiter, "delimiter"),
        limit=rules.MAX_PAGE,
    )


def _described(download: Download) -> ObjectInfo:
    assert download.info is not None
    return download.info
