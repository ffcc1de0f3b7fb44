"""Generated from ``actorc.storage.client`` by ``make async-client``; do not edit."""

from __future__ import annotations

import os

from actorc.storage._async.session import MAX_THREADS, AsyncSession
from actorc.storage._retry import RetryPolicy
from actorc.storage.models import ServerInfoResult


class AsyncClientMethods(AsyncSession):
    """The methods of ``client``, awaited."""

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
        """Return the server's version, engine, limits and capabilities."""
        return await self._run(self._client.server_info, timeout=timeout)
