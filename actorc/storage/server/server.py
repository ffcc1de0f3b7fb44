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
from .config import Group, ServerOptions
from .engines.base import Engine
from .grpc.health import Health
from .grpc.reflection import Reflection
from .grpc.server import GrpcServer, server_credentials
from .grpc.storage_handler import StorageHandler
from .http_opening import open_http
from .listen_address import numeric_address
from .server_parts import ServerParts
from .telemetry.descriptor_log import DescriptorWatch
from .unix.conversation import Calls
from .unix.server import UnixServer
from .unix.socket_file import SocketFile, bound

if TYPE_CHECKING:
    from .http.server import HttpServer

log = logging.getLogger(__name__)

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
        parts: What its faces share.
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
        self._descriptors = DescriptorWatch()
        # before the engine is opened, which a certificate that cannot be read would leave open
        credentials = server_credentials(options)
        self.parts = parts = ServerParts(options, engine, group=group, own=own, clock=clock)
        self.address = ""
        self.http_endpoint = ""
        self._stopped = False
        self._health = Health(parts.is_healthy)
        self._reflection = Reflection()
        self._http: HttpServer | None = None
        self._socket_file: SocketFile | None = None
        self._unix: UnixServer | None = None
        handler = StorageHandler(parts.methods, parts.flow, calls=parts.calls, strangers=parts.strangers)
        self._grpc = GrpcServer(
            (handler, self._health, self._reflection),
            parts.calls,
            credentials,
            shares_port=shares_port or group is not None,
        )

    def start(self) -> str:
        """Start to serve; return the address.

        Raises:
            InvalidParameterError: A port is taken or not allowed, or HTTP is asked for and aiohttp is missing.
        """
        address = numeric_address(self.parts.options.listen, loopback_only=self.parts.keyring.is_open)
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
        return self.parts.keyring.is_open

    def notice_keys(self) -> None:
        """Look for changes of the access keys; without it, a server that is idle learns of them at its next call."""
        self.parts.keyring.find("")

    @property
    def urls_until(self) -> float:
        """When the last URL that the server made expires, in seconds since 1970-01-01 UTC; 0 if there is none."""
        return self.parts.urls.issued_until

    def _start_unix(self, listen: Address) -> None:
        """Serve programs of this user on a socket as well, once the address is this server's."""
        if self.parts.group is not None:
            reached = reached_by(listen)
            if self.parts.group.socket is not None and reached is not None:
                self._serve_unix(socket.socket(fileno=self.parts.group.socket), reached)
        elif self.parts.options.local and self.parts.options.tls_cert is None:
            self._socket_file = bound(listen)
            if self._socket_file is not None:
                self._serve_unix(self._socket_file.listener, self._socket_file.address)

    def _serve_unix(self, listener: socket.socket, address: Address) -> None:
        self._unix = UnixServer(
            listener,
            address,
            Calls(self.parts.methods, self.parts.flow, self.parts.calls),
            threads=self.parts.options.threads,
            connections=self.parts.options.threads + self.parts.options.queue,
        )
        self._unix.start()

    def _start_http(self) -> None:
        if self.parts.options.http == "on-demand" and self.parts.group is None:
            self.parts.urls.open_endpoint = self._open_http
            return
        if self.parts.options.http == "off":
            return
        try:
            self._open_http()
        except InvalidParameterError as error:
            # HTTP that was not asked for is a convenience, and the service works without it
            if self.parts.options.http != "auto":
                self.stop(0)
                raise
            log.warning("there is no HTTP and there are no presigned URLs, %s", error.message)

    def _open_http(self) -> None:
        self._http, self.http_endpoint = open_http(self.parts, self._health.is_ready)
        self._http.start()
        # last: URLs that lead to it are made from now on
        self.parts.urls.endpoint = self.http_endpoint

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
        finished = self.parts.in_flight.close(self.parts.options.grace if grace is None else grace)
        # a call that has ended may still be sending its response; the others are cancelled, and uploads stay resumable
        seconds = _FINAL_SECONDS if finished else 0
        ended = self._grpc.stop(seconds)
        if self._http is not None:
            self._http.stop(seconds)
        if self._unix is not None:
            self._unix.stop(seconds)
        ended.wait()
        self._health.close()
        self._reflection.close()
        self._descriptors.close()
        self.parts.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
