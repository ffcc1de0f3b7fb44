"""One server in this process: engine, rules, gRPC face, and the port."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import grpc

from actorc.storage._wire.tls import read_pem
from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import MAX_MESSAGE_SIZE

from .auth.authentication import Authenticator, Keyring
from .auth.key_file import OwnKey
from .auth.presigning import PresignedUrls
from .config import DEFAULT_HTTP, Group, ServerOptions, numeric_address
from .engines import Upkeep, open_engine
from .engines.base import Engine
from .grpc.admission import CallPool
from .grpc.health import Health
from .grpc.interceptors import MAX_HEADERS, Boundary
from .grpc.service import StorageService, storage_handler
from .store.store import ObjectStore
from .telemetry.access_log import Journal
from .telemetry.calls_in_flight import Gate
from .telemetry.descriptor_log import DescriptorWatch

if TYPE_CHECKING:
    from .http.server import HttpPlane

log = logging.getLogger(__name__)

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_metadata_size", MAX_HEADERS),
    # clients ping during idle transfers; gRPC's default takes a ping within five minutes for an attack
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # gRPC's default lets whoever opens a connection and says nothing hold it for two minutes
    ("grpc.server_handshake_timeout_ms", 10_000),
    # else who opens connections and calls nothing holds a descriptor each for ever; clients connect again by themselves
    ("grpc.max_connection_idle_ms", 5 * 60_000),
)

_STRANGERS: Final = 4
"""Threads on which it is waited for the first message of those who prove by nothing else who they are."""
_STRANGERS_WAITING: Final = 64
"""Calls that may wait for one of them."""


_LAST_WORDS: Final = 1.0
"""Seconds in which the answer to a call that is over must have been sent."""


class _UnreadableHeaders(logging.Filter):
    """Drops what gRPC writes of a header that is no text: the header, and a traceback, for anybody who sends one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether it is something else."""
        return record.msg != "Invalid encoding on %s"


_unreadable_headers = _UnreadableHeaders()


class StorageServer:
    """A storage server. A context manager that starts and stops it.

    Args:
        options: How it runs.
        engine: Serves this one instead of opening the one of `options`; closed with the server all the same.
        group: What this process has in common with others that serve the same.
        own: A key that is in no file.
        shares_port: Whether other sockets of this user may have the port, too; `ports.reserve` keeps it from servers.

    Attributes:
        address: Where it listens, ``HOST:PORT``; empty before the start.
        http_endpoint: Where presigned URLs lead; empty before the start, and if they lead nowhere.
        calls: The threads on which calls run.
        strangers: Those on which it is waited for the first message of callers whom nothing else can prove.
    """

    def __init__(
        self,
        options: ServerOptions,
        *,
        engine: Engine | None = None,
        group: Group | None = None,
        own: OwnKey | None = None,
        shares_port: bool = False,
    ) -> None:
        self._options = options
        self._group = group
        self._descriptors = DescriptorWatch()
        # the same filter twice is one
        logging.getLogger("grpc._cython.cygrpc").addFilter(_unreadable_headers)
        self._keyring = Keyring(options.keys_file, required=options.keys is not None, own=own)
        self._credentials = _credentials(options)
        self._engine = engine or _engine(options, group)
        self.address = ""
        self.http_endpoint = ""
        self._stopped = False
        self._health = Health(self._is_healthy)
        self._journal = Journal()
        self._gate = Gate()
        self._urls = PresignedUrls(self._keyring, anybodys=None if group is None else group.url_key)
        self._http: HttpPlane | None = None
        self.calls = CallPool(options.threads, waiting=options.queue, name="storage-call")
        self.strangers = CallPool(_STRANGERS, waiting=_STRANGERS_WAITING, name="storage-stranger")
        self._grpc = grpc.server(
            self.calls,
            interceptors=[
                Boundary(
                    Authenticator(self._keyring),
                    self._journal,
                    self._gate,
                    calls=self.calls,
                    strangers=self.strangers,
                    max_streams=options.max_streams,
                    idle_timeout=options.idle_timeout,
                )
            ],
            # else a second server on the same port would share it silently
            options=(*_CHANNEL_OPTIONS, ("grpc.so_reuseport", int(shares_port or group is not None))),
        )
        told = options.auto_create_buckets
        # keys may come while it runs: from then on, buckets are made by those who may
        self._store = ObjectStore(
            self._engine, auto_create_buckets=(lambda: self._keyring.is_open) if told is None else told
        )
        service = StorageService(self._store, self._urls)
        self._grpc.add_generic_rpc_handlers((storage_handler(service), self._health))

    def start(self) -> str:
        """Bind and serve; return the address.

        Raises:
            InvalidParameterError: A port is taken or not allowed, or HTTP is asked for and aiohttp is missing.
        """
        address = numeric_address(self._options.listen, loopback_only=self._keyring.is_open)
        try:
            port = self._bind(str(address))
        except RuntimeError as error:
            self.stop(0)
            raise InvalidParameterError(
                f"the server cannot listen on {address}, the port is taken or not allowed; choose another, 0 finds one"
            ) from error
        self._start_http()
        self._grpc.start()
        self._descriptors.start()
        self._health.set_serving(True)
        self.address = str(address._replace(port=port))
        return self.address

    @property
    def is_open(self) -> bool:
        """Whether everybody who reaches the server may do everything."""
        return self._keyring.is_open

    def _bind(self, address: str) -> int:
        if self._credentials is None:
            return self._grpc.add_insecure_port(address)
        return self._grpc.add_secure_port(address, self._credentials)

    def _start_http(self) -> None:
        wanted = self._options.http
        if wanted == "off":
            return
        try:
            self._open_http(DEFAULT_HTTP if wanted == "auto" else wanted)
        except InvalidParameterError as error:
            if wanted != "auto":
                self.stop(0)
                raise
            log.warning("there is no HTTP and there are no presigned URLs, %s", error.message)

    def _open_http(self, address: str) -> None:
        try:
            from .http.assembly import Served, open_plane  # noqa: PLC0415 - aiohttp may be missing
        except ModuleNotFoundError as error:
            raise InvalidParameterError(
                "aiohttp is not installed, and HTTP needs it; pip install 'lucas-storage[http]'"
            ) from error
        served = Served(
            store=self._store,
            urls=self._urls,
            keyring=self._keyring,
            journal=self._journal,
            is_ready=self._health.is_ready,
            gate=self._gate,
            damaged=lambda: getattr(self._engine, "damaged", 0),
        )
        shared = self._group is not None
        self._http, self.http_endpoint = open_plane(address, self._options, served, shared=shared)
        self._urls.endpoint = self.http_endpoint
        self._http.start()

    def _is_healthy(self) -> bool:
        # engines that never stop accepting changes do not say so
        return bool(getattr(self._engine, "healthy", True)) and not getattr(self._engine, "full", False)

    def stop(self, grace: float | None = None) -> None:
        """Refuse new calls, let running ones finish, close the engine. A second time does nothing.

        While calls are running, probes are still answered, with the news that the server takes no more of them.

        Args:
            grace: Seconds until running calls are cancelled; None: those of the options.
        """
        if self._stopped:
            return
        self._stopped = True
        self._health.set_serving(False)
        finished = self._gate.close(self._options.grace if grace is None else grace)
        # who has left the gate may still be writing its answer; the others are broken off, uploads stay resumable
        seconds = _LAST_WORDS if finished else 0
        ended = self._grpc.stop(seconds)
        if self._http is not None:
            self._http.stop(seconds)
        ended.wait()
        # gRPC forgets a cancelled call before its thread has left the engine
        self.strangers.shutdown()
        self.calls.shutdown()
        self._health.close()
        self._descriptors.close()
        self._journal.close()
        self._engine.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _engine(options: ServerOptions, group: Group | None) -> Engine:
    upkeep = Upkeep(
        upload_ttl=options.upload_ttl, scrub_days=options.scrub_days, quarantine_days=options.quarantine_days
    )
    return open_engine(options.engine_url, upkeep, group=None if group is None else group.lock)


def _credentials(options: ServerOptions) -> grpc.ServerCredentials | None:
    if options.tls_cert is None:
        return None
    pem = read_pem(ca=options.tls_client_ca, certificate=options.tls_cert, key=options.tls_key)
    assert pem.key is not None
    assert pem.certificate is not None
    return grpc.ssl_server_credentials([(pem.key, pem.certificate)], pem.ca, require_client_auth=pem.ca is not None)
