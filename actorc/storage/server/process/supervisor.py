"""The supervisor of a server with several worker processes, on the same ports and the same data directory.

The process that the user started serves no calls. It holds the ports and the directory, starts workers, replaces those
that die, and ends after the last of them. A worker is connected by a socket: it gets its configuration there, reports
that it serves, sends a heartbeat every second, and ends when the socket closes. A worker without heartbeat for half a
minute, because it is stopped or stuck, is killed and replaced.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from actorc.storage.errors import InvalidParameterError
from actorc.storage.server.auth.access_keys import OwnKey, as_record
from actorc.storage.server.auth.keyring import Keyring
from actorc.storage.server.config import ServerOptions
from actorc.storage.server.engines import share_engine
from actorc.storage.server.listen_address import numeric_address
from actorc.storage.server.option_sources import to_plain
from actorc.storage.server.telemetry.watched import record_restart
from actorc.storage.server.unix.socket_file import SocketFile, bound

from .ports import reserve
from .worker_process import WorkerProcess
from .worker_slot import WorkerSlot

log = logging.getLogger(__name__)

_MARGIN_SECONDS: Final = 5.0
"""Seconds beyond the grace period until a worker is killed."""
SILENCE: Final = 30
"""Turns of `TURN_SECONDS` without a heartbeat after which a worker counts as stuck. A busy worker still sends them."""


class Supervisor:
    """A server of several processes, with the interface of `StorageServer`. For one thread, `kill` aside.

    Args:
        options: Configuration of each worker.
        own: A key that is in no file.
        silence: Turns without a heartbeat after which a worker is killed.

    Attributes:
        http_endpoint: Base of presigned URLs; empty before the start, and if there are none.
        urls_until: As of `StorageServer`; 0, since the supervisor does not know which URLs its workers make.
    """

    urls_until: Final = 0.0

    def __init__(self, options: ServerOptions, *, own: OwnKey | None = None, silence: int = SILENCE) -> None:
        self._options = options
        self._own = own
        self._silence = silence
        self.http_endpoint = ""
        self._held = ExitStack()
        self._socket_file: SocketFile | None = None
        self._slots: list[WorkerSlot] = []
        self._is_open = True
        self._keyring: Keyring | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server had no access keys when it started, and so allowed everything to every caller."""
        return self._is_open

    def notice_keys(self) -> None:
        """Look whether there are access keys by now: workers that are started later must know, if the file is gone."""
        if self._keyring is not None:
            self._keyring.find("")

    def start(self) -> str:
        """Return the address once every worker serves.

        Raises:
            InvalidParameterError: A port is taken or not allowed, or the engine lives in one process.
            StorageError: The engine cannot be opened.
        """
        self._keyring = Keyring(self._options.keys_file, required=self._options.keys is not None, own=self._own)
        self._is_open = self._keyring.is_open
        # clients of a killed server hold its port while they wait for this one
        listen = self._reserved(self._options.listen, among_clients=True)
        http = self._reserved_http()
        # locked once, here: workers inherit the descriptor and with it the lock, which ends with the last of them
        lock = share_engine(self._options.engine_url)
        self._held.callback(os.close, lock)
        metrics = self._held.enter_context(tempfile.TemporaryDirectory(prefix="lucas-storage-metrics-"))
        # bound once as well: whichever worker is free accepts, and one that replaces another does from its start
        shared = self._bound_socket(listen)
        order = _order(replace(self._options, listen=listen, http=http), lock, shared, self._own, metrics)
        self._begin_workers(order, [lock] if shared is None else [lock, shared], metrics, self._keyring)
        return listen

    def stop(self) -> None:
        """Make every worker refuse new calls and finish running ones; return when all have ended."""
        if self._socket_file is not None:
            # first: clients that find none go over TCP, where this server says that it is stopping
            self._socket_file.close()
        for slot in self._slots:
            slot.end()
        # one deadline for all: they stop in parallel
        patience = time.monotonic() + self._options.grace + _MARGIN_SECONDS
        for slot in self._slots:
            slot.wait(patience - time.monotonic())
        self._held.close()

    def kill(self) -> None:
        """Kill every worker at once. A signal handler may call it: it takes no lock."""
        for slot in self._slots:
            slot.kill()

    def _begin_workers(self, order: dict[str, Any], descriptors: list[int], metrics: str, keyring: Keyring) -> None:
        """Start the workers, each with the order and the descriptors; return once every one serves."""

        def started() -> WorkerProcess:
            # a worker that replaces another one must not be open because the file of keys is gone since
            known = order | {"was_closed": not keyring.is_open}
            return WorkerProcess(json.dumps(known).encode() + b"\n", descriptors, metrics)

        self._slots = [
            WorkerSlot(number, started, self._silence, replaced=lambda: record_restart(Path(metrics)))
            for number in range(self._options.workers)
        ]
        # all are started before the first is awaited, so that they start in parallel
        for slot in self._slots:
            slot.begin()
        for slot in self._slots:
            self.http_endpoint = slot.run()

    def _reserved(self, address: str, *, among_clients: bool = False) -> str:
        held, found = reserve(numeric_address(address, loopback_only=self._is_open), among_clients=among_clients)
        self._held.enter_context(held)
        return str(found)

    def _bound_socket(self, listen: str) -> int | None:
        """Bind the Unix socket for programs of this user; return its descriptor, None if there is none."""
        if not self._options.local or self._options.tls_cert is not None:
            return None
        self._socket_file = bound(numeric_address(listen, loopback_only=self._is_open))
        return None if self._socket_file is None else self._socket_file.listener.fileno()

    def _reserved_http(self) -> str:
        address = self._options.http_address
        if self._options.http not in {"auto", "on-demand"}:
            return self._reserved(address) if address else "off"
        try:
            if find_spec("aiohttp"):
                return self._reserved(address)
            reason = "aiohttp is not installed; pip install 'lucas-storage[http]'"
        except InvalidParameterError as error:
            reason = error.message
        log.warning("there is no HTTP and there are no presigned URLs, %s", reason)
        return "off"


def _order(options: ServerOptions, lock: int, shared: int | None, own: OwnKey | None, metrics: str) -> dict[str, Any]:
    order: dict[str, Any] = {"options": to_plain(options), "lock": lock, "socket": shared, "level": log.root.level}
    order |= {"url_key": secrets.token_hex(32), "metrics": metrics}
    order["own"] = own and {"key": as_record(own.key), "closes": own.closes}
    return order
