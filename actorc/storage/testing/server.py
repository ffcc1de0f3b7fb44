"""A real storage server in this process, as a context manager."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actorc.storage.client import StorageClient
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.engines.base import Engine


class LocalServer:
    """A running server.

    Attributes:
        endpoint: Its address, as `StorageClient` and ``STORAGE_ENDPOINT`` take it.
        http_endpoint: Base of presigned URLs; None if there are none.
    """

    def __init__(self, endpoint: str, http_endpoint: str | None = None) -> None:
        self.endpoint = endpoint
        self.http_endpoint = http_endpoint

    def client(self, **options: Any) -> StorageClient:
        """Return a new client of this server; `options` are further arguments of `StorageClient`."""
        return StorageClient(self.endpoint, **options)


@contextmanager
def local_server(
    engine: str | Engine = "memory://", *, auto_create_buckets: bool = True, http: bool | str = False, **options: Any
) -> Iterator[LocalServer]:
    """Serve from this process, on a free port of 127.0.0.1, until the block ends; calls still running are cancelled.

    The environment is not changed: pass `LocalServer.endpoint` on, or use `LocalServer.client`.

    Args:
        engine: URL of an engine, such as ``file:///directory``, or an open one, which is closed at the end.
        auto_create_buckets: Whether a write to a missing bucket creates it.
        http: Whether to serve presigned URLs as well, on another free port; or the address for it, ``HOST:PORT``.
        options: Further fields of `ServerOptions`.

    Raises:
        InvalidParameterError: HTTP is asked for and aiohttp is not installed.
        StorageError: The engine cannot be opened.
    """
    url = engine if isinstance(engine, str) else f"{engine.name}://"
    http_address = http if isinstance(http, str) else "127.0.0.1:0" if http else "off"
    settings: dict[str, Any] = {"listen": "127.0.0.1:0", "grace": 0.0, "http": http_address, **options}
    server = StorageServer(
        ServerOptions(engine=url, auto_create_buckets=auto_create_buckets, **settings),
        engine=None if isinstance(engine, str) else engine,
    )
    with server:
        yield LocalServer(server.address, server.http_endpoint or None)
