"""`AsyncStorageClient`: the methods of `StorageClient` under the same names, awaited.

Each is called on a thread over a blocking client, so all logic exists once; this is for asyncio alone. The methods are
generated from those of `StorageClient` by ``make async-client``. Importing this module loads neither gRPC nor protobuf;
the first call does.
"""

from __future__ import annotations

import asyncio
from functools import partial
from types import TracebackType
from typing import Any, Self

from ._async._generated.methods import AsyncMethods
from ._async.session import MAX_THREADS

__all__ = ["MAX_THREADS", "AsyncStorageClient"]


class AsyncStorageClient(AsyncMethods):
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
        local: Whether to use the Unix socket of a server on this machine; as for `StorageClient`.
        profile: The table of the settings file to use; as for `StorageClient`.
        max_threads: Calls that run at the same time, others wait; one that waits for its source is not counted.

    Raises:
        InvalidParameterError: The endpoint is no ``host:port`` nor several, or one key comes without the other.
    """

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
