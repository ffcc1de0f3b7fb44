"""`AsyncStorageClient`: the methods of `StorageClient` under the same names, awaited.

Each is called on a thread over a blocking client, so all logic exists once; this is for asyncio alone. Importing this
module loads neither gRPC nor protobuf; the first call does.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from . import rules
from ._async.buckets import AsyncBucketMethods
from ._async.multipart import AsyncMultipartMethods
from ._async.objects import AsyncObjectMethods
from ._async.presigning import AsyncPresigningMethods
from ._async.threads import Threads
from ._async.transfers import AsyncTransferMethods
from ._retry import RetryPolicy
from .client import StorageClient
from .models import ServerInfoResult

MAX_THREADS: Final = 32


class AsyncStorageClient(
    AsyncObjectMethods, AsyncTransferMethods, AsyncMultipartMethods, AsyncBucketMethods, AsyncPresigningMethods
):
    """An object storage service for asyncio: `StorageClient`, awaited.

    Usable from several event loops and threads at once, and in a forked child. A task that is cancelled cancels what
    it asked the server for, and goes on only when no thread works on it any more; an upload that is cancelled before
    its end stores nothing.

    Uploads also take asynchronous iterators and files with an ``async def read``; what they raise comes out
    unchanged. The awaiting task itself reads them, and calls `progress`. Blocking sources are read on a thread.

    Args:
        endpoint: ``host:port``, or several; all arguments but `max_threads` are those of `StorageClient`.
        access_key: Names the caller.
        secret_key: Proves the caller.
        use_ssl: Whether to use TLS.
        ca_file: Authorities to trust.
        cert_file: Certificate to show.
        key_file: Its private key.
        http_endpoint: Where presigned URLs lead.
        timeout: Seconds a call may take unless it says otherwise; as for `StorageClient`.
        idle_timeout: Seconds a transfer may stand still.
        retry: When to try again.
        max_threads: Calls that run at the same time, others wait; one that waits for its source is not counted.

    Raises:
        InvalidParameterError: The endpoint is no ``host:port`` nor several, or one key comes without the other.
    """

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
        max_threads: int = MAX_THREADS,
    ) -> None:
        options: dict[str, Any] = {
            "endpoint": endpoint,
            "use_ssl": use_ssl,
            "ca_file": ca_file,
            "cert_file": cert_file,
            "key_file": key_file,
            "http_endpoint": http_endpoint,
            "timeout": timeout,
            "idle_timeout": idle_timeout,
            "retry": retry,
        }
        self._recipe = {**options, "max_threads": rules.check_positive(max_threads, "max_threads")}
        self._client = StorageClient(access_key=access_key, secret_key=secret_key, **options)
        self._client.DEFAULT_CHUNK_SIZE = self.DEFAULT_CHUNK_SIZE  # which a subclass may have changed
        self._threads = Threads(max_threads, "storage-async")

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
        """Await `StorageClient.server_info`."""
        return await self._run(self._client.server_info, timeout=timeout)

    async def aclose(self) -> None:
        """Await `StorageClient.close`."""
        self._threads.close()
        # not on a thread of ours: all of them may wait for calls that this ends
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(endpoint={self.endpoint!r}, use_ssl={self.use_ssl})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._recipe), ()
