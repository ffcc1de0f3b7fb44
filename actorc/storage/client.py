"""`StorageClient`: construction, settings and closing; its methods are in the modules of its base classes.

Importing this module loads neither gRPC nor protobuf; the first call does.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from ._client.batches import BatchMethods
from ._client.buckets import BucketMethods
from ._client.multipart import MultipartMethods
from ._client.objects import ObjectMethods
from ._client.opening import OpeningMethods
from ._client.presigning import PresigningMethods
from ._client.reads import ReadMethods
from ._client.transfers import TransferMethods
from ._retry import RetryPolicy
from ._rpc import result_dicts
from .config import ClientOptions
from .models import ServerInfoResult

if TYPE_CHECKING:
    from ._rpc.operations.remote_store import RemoteStore


class StorageClient(
    ObjectMethods,
    ReadMethods,
    BatchMethods,
    TransferMethods,
    OpeningMethods,
    MultipartMethods,
    BucketMethods,
    PresigningMethods,
):
    """An object storage service, reached over gRPC, or over a Unix socket if it is on this machine.

    Threads may share a client, also in a forked child. Nothing is sent before the first call. A call that fails for a
    passing reason is retried, and a retry never changes anything twice. A pickled client carries no keys: the process
    that unpickles it takes them from its own environment.

    Args:
        endpoint: ``host:port``; else ``STORAGE_ENDPOINT``, else the server that runs for the nearest
            ``.lucas-storage``, here or above, else ``localhost:9000``. Several servers of one store, as
            ``a:9000,b:9000``: calls go to the first until it cannot be reached, then to the next.
        access_key: Names the caller; else ``STORAGE_ACCESS_KEY``, or the key that the server of this directory has for
            this user, if it is that server.
        secret_key: Proves the caller, and never leaves this process; else ``STORAGE_SECRET_KEY``.
        use_ssl: Whether to use TLS; else ``STORAGE_USE_SSL``.
        ca_file: Authorities to trust instead of the usual ones, PEM; else ``STORAGE_CA_FILE``.
        cert_file: Certificate to show to a server that asks for one, PEM; else ``STORAGE_CERT_FILE``.
        key_file: Its private key, PEM; else ``STORAGE_KEY_FILE``.
        http_endpoint: Base of presigned URLs, such as ``https://storage.example.org``; else
            ``STORAGE_HTTP_ENDPOINT``, else the server is asked.
        timeout: Seconds that a call may take unless it says otherwise, 30 if not given; transfers of unbounded size
            have no such limit. If it is given, here or with a call, a server that is not there yet is waited for as
            long; otherwise an address where nothing answers is reported after three attempts.
        idle_timeout: Seconds that a transfer may make no progress.
        retry: When and how often to retry.
        local: Whether to use the Unix socket of a server of this user on this machine, if it has one, which is faster;
            else ``STORAGE_LOCAL``, else yes.
        profile: The table ``[profiles.NAME]`` of ``~/.config/lucas-storage.toml``, whose settings count as those
            arguments that are not given; else ``STORAGE_PROFILE``, whose settings come after the environment.

    Raises:
        InvalidParameterError: The endpoint is no ``host:port`` nor several, a timeout is no number of seconds above 0,
            only one of the keys is given, there is no such profile, or the ``.lucas-storage`` here is not this user's
            alone.
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
        local: bool | None = None,
        profile: str | None = None,
    ) -> None:
        self._recipe: dict[str, Any] = {
            "endpoint": endpoint,
            "use_ssl": use_ssl,
            "ca_file": ca_file,
            "cert_file": cert_file,
            "key_file": key_file,
            "http_endpoint": http_endpoint,
            "timeout": timeout,
            "idle_timeout": idle_timeout,
            "local": local,
            "profile": profile,
        }
        self._retry = retry or RetryPolicy(persistent=True)
        self._options = ClientOptions.resolve(access_key=access_key, secret_key=secret_key, **self._recipe)
        self._store: RemoteStore | None = None

    @property
    def endpoint(self) -> str:
        """``host:port`` of the server, or of several with commas between them."""
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

    def server_info(self, *, timeout: float | None = None) -> ServerInfoResult:
        """Return the server's version, engine, limits and capabilities, and the transport that leads to it."""
        return result_dicts.server_info_result(*self._remote.server_info(timeout))

    def close(self) -> None:
        """Close the connection; calling it again does nothing."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(endpoint={self.endpoint!r}, use_ssl={self.use_ssl})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._recipe, retry=self._retry), ()
