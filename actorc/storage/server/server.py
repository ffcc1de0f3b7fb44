"""One server in this process: engine, rules, gRPC face, and the port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Final

import grpc

from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import MAX_MESSAGE_SIZE, KiB

from .config import ServerOptions, loopback_address
from .engines import open_engine
from .engines.base import Engine
from .health import Health
from .interceptors import Boundary
from .service import StorageService, storage_handler
from .store import ObjectStore

if TYPE_CHECKING:
    from typing_extensions import Self

_CHANNEL_OPTIONS: Final = (
    # a second server on the same port would otherwise share it silently
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_metadata_size", 32 * KiB),
    # clients ping during idle transfers; gRPC's default takes a ping within five minutes for an attack
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


class StorageServer:
    """A storage server. A context manager that starts and stops it.

    Args:
        options: How it runs.
        engine: Serves this one instead of opening the one of `options`; closed with the server all the same.

    Attributes:
        address: Where it listens, ``HOST:PORT``; empty before the start.
    """

    def __init__(self, options: ServerOptions, *, engine: Engine | None = None) -> None:
        self._options = options
        self._engine = engine or open_engine(options.engine_url)
        self.address = ""
        self._stopped = False
        self._health = Health()
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="storage-call")
        self._grpc = grpc.server(
            self._threads,
            interceptors=[Boundary(max_streams=options.max_streams, idle_timeout=options.idle_timeout)],
            options=_CHANNEL_OPTIONS,
            maximum_concurrent_rpcs=options.threads + options.queue,
        )
        store = ObjectStore(self._engine, auto_create_buckets=options.auto_create_buckets)
        self._grpc.add_generic_rpc_handlers((storage_handler(StorageService(store)), self._health.handler()))

    def start(self) -> str:
        """Bind and serve; return the address.

        Raises:
            InvalidParameterError: The port is taken or not allowed.
        """
        address = loopback_address(self._options.listen)
        try:
            port = self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            self.stop(0)
            raise InvalidParameterError(
                f"the server cannot listen on {address}, the port is taken or not allowed; choose another, 0 finds one"
            ) from error
        self._grpc.start()
        self._health.set_serving(True)
        self.address = f"{address.rpartition(':')[0]}:{port}"
        return self.address

    def stop(self, grace: float | None = None) -> None:
        """Refuse new calls, let running ones finish, close the engine. A second time does nothing.

        Args:
            grace: Seconds until running calls are cancelled; None: those of the options.
        """
        if self._stopped:
            return
        self._stopped = True
        self._health.set_serving(False)
        self._grpc.stop(self._options.grace if grace is None else grace).wait()
        # gRPC forgets a cancelled call before its thread has left the engine
        self._threads.shutdown()
        self._engine.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
