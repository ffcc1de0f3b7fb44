"""The parts of one server that its faces share: the operations, the callers, and how calls are admitted and watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .auth.access_keys import OwnKey
from .auth.authentication import Authenticator
from .auth.keyring import Keyring
from .auth.presigning import PresignedUrls
from .config import Group, ServerOptions
from .engines import BackgroundWork, open_engine
from .engines.base import Engine
from .service.admission import CallPool
from .service.call_flow import CallFlow
from .service.methods import methods_of
from .service.service import StorageService
from .store.store import ObjectStore
from .telemetry.access_log import AccessLog
from .telemetry.calls_in_flight import CallsInFlight

_STRANGER_THREADS: Final = 4
"""Threads that wait for the first message of callers who prove nothing by their headers."""
_MAX_WAITING_STRANGERS: Final = 64
"""Calls that may wait for one of them."""


class ServerParts:
    """What gRPC, HTTP and the Unix socket of one server have in common. Any thread may use it.

    Args:
        options: The configuration of the server.
        engine: Engine to serve instead of the one that `options` names.
        group: Resources that this process shares with others that serve the same.
        own: A key that is in no file.
        clock: Seconds since 1970-01-01 UTC.

    Attributes:
        calls: The threads of calls.
        strangers: The threads that wait for the first message of callers who prove nothing by their headers.
    """

    def __init__(
        self,
        options: ServerOptions,
        engine: Engine | None = None,
        *,
        group: Group | None = None,
        own: OwnKey | None = None,
        clock: Callable[[], float],
    ) -> None:
        self.options = options
        self.group = group
        self.clock = clock
        self.keyring = _keyring(options, group, own, clock)
        self.engine = engine or _engine(options, group)
        self.urls = PresignedUrls(self.keyring, clock, open_key=None if group is None else group.url_key)
        self.store = self._new_store()
        self.methods = methods_of(StorageService(self.store, self.urls))
        self.access_log = AccessLog()
        self.in_flight = CallsInFlight()
        self.authenticator = Authenticator(self.keyring, clock)
        self.flow = CallFlow(
            self.authenticator,
            self.access_log,
            self.in_flight,
            max_streams=options.max_streams,
            idle_timeout=options.idle_timeout,
        )
        self.calls = CallPool(options.threads, waiting=options.queue, name="storage-call")
        self.strangers = CallPool(_STRANGER_THREADS, waiting=_MAX_WAITING_STRANGERS, name="storage-stranger")

    def is_healthy(self) -> bool:
        """Return whether the engine accepts changes."""
        return self.engine.healthy and not self.engine.full

    def close(self) -> None:
        """Wait until no thread is in the engine any more, and close it; the faces have ended before."""
        # gRPC forgets a cancelled call before its thread has left the engine
        self.strangers.shutdown()
        self.calls.shutdown()
        self.access_log.close()
        self.engine.close()

    def _new_store(self) -> ObjectStore:
        auto_create = self.options.auto_create_buckets
        # asked at each write, since keys may be added while the server runs; then only their owners may create buckets
        return ObjectStore(
            self.engine, auto_create_buckets=(lambda: self.keyring.is_open) if auto_create is None else auto_create
        )


def _keyring(options: ServerOptions, group: Group | None, own: OwnKey | None, clock: Callable[[], float]) -> Keyring:
    return Keyring(
        options.keys_file,
        required=options.keys is not None,
        own=own,
        was_closed=group is not None and group.was_closed,
        clock=clock,
    )


def _engine(options: ServerOptions, group: Group | None) -> Engine:
    background_work = BackgroundWork(
        upload_ttl=options.upload_ttl, scrub_days=options.scrub_days, quarantine_days=options.quarantine_days
    )
    return open_engine(options.engine_url, background_work, group=None if group is None else group.lock)
