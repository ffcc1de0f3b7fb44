"""One storage server in this process: engine, operations, and its gRPC and HTTP faces."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

from actorc.addresses import Address
from actorc.storage.errors import InvalidParameterError
from actorc.storage.local_server.socket_files import reached_by

from .auth.access_keys import OwnKey
from .auth.authentication import Authenticator
from .auth.keyring import Keyring
from .auth.presigning import PresignedUrls
from .config import Group, ServerOptions
from .engines import BackgroundWork, open_engine
from .engines.base import Engine
from .grpc.health import Health
from .grpc.reflection import Reflection
from .grpc.server import GrpcServer, server_credentials
from .grpc.storage_handler import StorageHandler
from .listen_address import numeric_address
from .service.admission import CallPool
from .service.call_flow import CallFlow
from .service.methods import methods_of
from .service.service import StorageService
from .store.store import ObjectStore
from .telemetry.access_log import AccessLog
from .telemetry.calls_in_flight import CallsInFlight
from .telemetry.descriptor_log import DescriptorWatch
from .telemetry.watched import WatchedServer, damaged
from .unix.conversation import Calls
from .unix.server import UnixServer
from .unix.socket_file import SocketFile, bound

if TYPE_CHECKING:
    from .api.api import Api
    from .http.server import HttpServer

log = logging.getLogger(__name__)

_STRANGER_THREADS: Final = 4
"""Threads that wait for the first message of callers who prove nothing by their headers."""
_MAX_WAITING_STRANGERS: Final = 64
"""Calls that may wait for one of them."""


_FINAL_SECONDS: Final = 1.0
"""Seconds for sending the responses of calls that have ended."""


class StorageServer:
    """A storage server. A context manager that starts and stops it. For one thread; calls run on others.

    Args:
        options: Its configuration.
        engine: Engine to serve instead of the one that `options` names; closed with the server.
        group: Resources that this process shares with others that serve the same.
        own: A key that is in no file.
        shares_port: Whether other sockets of this user may have the port, too; `ports.reserve` keeps it from servers.
        clock: Seconds since 1970-01-01 UTC; the engine has a clock of its own.

    Attributes:
        address: ``HOST:PORT`` that it listens on; empty before the start.
        http_endpoint: Base of presigned URLs; empty before the start, and if there are none.
        calls: The threads of calls.
        strangers: The threads that wait for the first message of callers who prove nothing by their headers.
    """

    def __init__(
        self,
        options: ServerOptions,
        *,
        engine: Engine | None = None,
        group: Group | None = None,
        own: OwnKey | None = None,
        shares_port: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._group = group
        self._descriptors = DescriptorWatch()
        self._keyring = Keyring(
            options.keys_file,
            required=options.keys is not None,
            own=own,
            was_closed=group is not None and group.was_closed,
            clock=clock,
        )
        credentials = server_credentials(options)
        self._engine = engine or _engine(options, group)
        self.address = ""
        self.http_endpoint = ""
        self._stopped = False
        self._health = Health(self._is_healthy)
        self._reflection = Reflection()
        self._access_log = AccessLog()
        self._in_flight = CallsInFlight()
        self._urls = PresignedUrls(self._keyring, clock, open_key=None if group is None else group.url_key)
        self._http: HttpServer | None = None
        self._socket_file: SocketFile | None = None
        self._unix: UnixServer | None = None
        self.calls = CallPool(options.threads, waiting=options.queue, name="storage-call")
        self.strangers = CallPool(_STRANGER_THREADS, waiting=_MAX_WAITING_STRANGERS, name="storage-stranger")
        self._store = self._new_store()
        self._methods = methods_of(StorageService(self._store, self._urls))
        self._clock = clock
        self._authenticator = Authenticator(self._keyring, clock)
        self._flow = CallFlow(
            self._authenticator,
            self._access_log,
            self._in_flight,
            max_streams=options.max_streams,
            idle_timeout=options.idle_timeout,
        )
        handler = StorageHandler(self._methods, self._flow, calls=self.calls, strangers=self.strangers)
        self._grpc = GrpcServer(
            (handler, self._health, self._reflection),
            self.calls,
            credentials,
            shares_port=shares_port or group is not None,
        )

    def _new_store(self) -> ObjectStore:
        auto_create = self._options.auto_create_buckets
        # asked at each write, since keys may be added while the server runs; then only their owners may create buckets
        return ObjectStore(
            self._engine, auto_create_buckets=(lambda: self._keyring.is_open) if auto_create is None else auto_create
        )

    def start(self) -> str:
        """Start to serve; return the address.

        Raises:
            InvalidParameterError: A port is taken or not allowed, or HTTP is asked for and aiohttp is missing.
        """
        address = numeric_address(self._options.listen, loopback_only=self._keyring.is_open)
        try:
            port = self._grpc.bind(str(address))
        except RuntimeError as error:
            self.stop(0)
            raise InvalidParameterError(
                f"the server cannot listen on {address}, the port is taken or not allowed; choose another, 0 finds one"
            ) from error
        # before gRPC: a failure to bind must not be found after calls were accepted
        self._start_http()
        self._grpc.start()
        self._start_unix(address._replace(port=port))
        self._descriptors.start()
        self._health.set_serving(True)
        self.address = str(address._replace(port=port))
        return self.address

    @property
    def is_open(self) -> bool:
        """Whether every caller may do everything."""
        return self._keyring.is_open

    def notice_keys(self) -> None:
        """Look for changes of the access keys; without it, a server that is idle learns of them at its next call."""
        self._keyring.find("")

    @property
    def urls_until(self) -> float:
        """When the last URL that the server made expires, in seconds since 1970-01-01 UTC; 0 if there is none."""
        return self._urls.issued_until

    def _start_unix(self, listen: Address) -> None:
        """Serve programs of this user on a socket as well, once the address is this server's."""
        if self._group is not None:
            reached = reached_by(listen)
            if self._group.socket is not None and reached is not None:
                self._serve_unix(socket.socket(fileno=self._group.socket), reached)
        elif self._options.local and self._options.tls_cert is None:
            self._socket_file = bound(listen)
            if self._socket_file is not None:
                self._serve_unix(self._socket_file.listener, self._socket_file.address)

    def _serve_unix(self, listener: socket.socket, address: Address) -> None:
        self._unix = UnixServer(
            listener,
            address,
            Calls(self._methods, self._flow, self.calls),
            threads=self._options.threads,
            connections=self._options.threads + self._options.queue,
        )
        self._unix.start()

    def _start_http(self) -> None:
        if self._options.http == "on-demand" and self._group is None:
            self._urls.open_endpoint = self._open_http
            return
        if self._options.http == "off":
            return
        try:
            self._open_http()
        except InvalidParameterError as error:
            # HTTP that was not asked for is a convenience, and the service works without it
            if self._options.http != "auto":
                self.stop(0)
                raise
            log.warning("there is no HTTP and there are no presigned URLs, %s", error.message)

    def _open_http(self) -> None:
        try:
            from .http.assembly import HttpParts, open_http_server  # noqa: PLC0415 - aiohttp may be missing
        except ModuleNotFoundError as error:
            raise InvalidParameterError(
                "aiohttp is not installed, and HTTP needs it; pip install 'lucas-storage[http]'"
            ) from error
        parts = HttpParts(
            store=self._store,
            urls=self._urls,
            keyring=self._keyring,
            confirm=self._authenticator.confirm,
            access_log=self._access_log,
            is_ready=self._health.is_ready,
            in_flight=self._in_flight,
            watched=WatchedServer(
                engine=self._engine,
                options=self._options,
                keyring=self._keyring,
                is_healthy=self._is_healthy,
                calls=lambda: self.calls.count,
                shared=None if self._group is None else self._group.metrics,
            ),
            open_api=self._open_api,
        )
        shared = self._group is not None
        self._http, self.http_endpoint = open_http_server(
            self._options.http_address, self._options, parts, shared=shared
        )
        self._http.start()
        # last: URLs that lead to it are made from now on
        self._urls.endpoint = self.http_endpoint

    def _open_api(self, is_own_name: Callable[[str], bool], metrics: Callable[[], bytes] | None) -> Api:
        from .api.assembly import ApiParts, open_api  # noqa: PLC0415 - as above

        parts = ApiParts(
            store=self._store,
            methods=self._methods,
            flow=self._flow,
            authenticator=self._authenticator,
            keyring=self._keyring,
            urls=self._urls,
            clock=self._clock,
            is_ready=self._health.is_ready,
            is_healthy=self._is_healthy,
            damaged=lambda: damaged(self._engine),
            data=self._options.data,
            threads=self._options.threads,
        )
        return open_api(parts, is_own_name=is_own_name, metrics=metrics)

    def _is_healthy(self) -> bool:
        # engines that always accept changes lack these attributes
        return bool(getattr(self._engine, "healthy", True)) and not getattr(self._engine, "full", False)

    def stop(self, grace: float | None = None) -> None:
        """Refuse new calls, let running ones finish, close the engine. A second call does nothing.

        While calls are running, probes are still answered: the server takes no more calls.

        Args:
            grace: Seconds until running calls are cancelled; None: those of the options.
        """
        if self._stopped:
            return
        self._stopped = True
        # in this order: load balancers stop sending, then no call begins, then running ones end, then the engine closes
        self._health.set_serving(False)
        if self._socket_file is not None:
            # while the address is still this server's, and the next one has not put its own in place
            self._socket_file.close()
        finished = self._in_flight.close(self._options.grace if grace is None else grace)
        # a call that has ended may still be sending its response; the others are cancelled, and uploads stay resumable
        seconds = _FINAL_SECONDS if finished else 0
        ended = self._grpc.stop(seconds)
        if self._http is not None:
            self._http.stop(seconds)
        if self._unix is not None:
            self._unix.stop(seconds)
        ended.wait()
        # gRPC forgets a cancelled call before its thread has left the engine
        self.strangers.shutdown()
        self.calls.shutdown()
        self._health.close()
        self._reflection.close()
        self._descriptors.close()
        self._access_log.close()
        self._engine.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _engine(options: ServerOptions, group: Group | None) -> Engine:
    background_work = BackgroundWork(
        upload_ttl=options.upload_ttl, scrub_days=options.scrub_days, quarantine_days=options.quarantine_days
    )
    return open_engine(options.engine_url, background_work, group=None if group is None else group.lock)
