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
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from actorc.storage.errors import InvalidParameterError, StorageError, error_class
from actorc.storage.server.auth.access_keys import OwnKey, as_record
from actorc.storage.server.auth.keyring import Keyring
from actorc.storage.server.config import ServerOptions
from actorc.storage.server.engines import share_engine
from actorc.storage.server.listen_address import numeric_address
from actorc.storage.server.option_sources import to_plain
from actorc.storage.server.telemetry.watched import record_restart
from actorc.storage.server.unix.socket_file import SocketFile, bound

from .ports import reserve

log = logging.getLogger(__name__)

_MARGIN_SECONDS: Final = 5.0
"""Seconds beyond the grace period until a worker is killed."""
_STEADY_SECONDS: Final = 60.0
"""Seconds after which a start counts as successful and the restart pause is reset."""
SILENCE: Final = 30
"""Turns of `_TURN_SECONDS` without a heartbeat after which a worker counts as stuck. A busy worker still sends them."""
_TURN_SECONDS: Final = 1.0
"""Seconds. Silence is counted in turns and not by a clock, so that none passes while the machine or this process is
suspended: heartbeats that arrived in between are read in the next turn."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0


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
        self._slots: list[_WorkerSlot] = []
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
        self._keyring = keyring = Keyring(
            self._options.keys_file, required=self._options.keys is not None, own=self._own
        )
        self._is_open = keyring.is_open
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

        def started() -> _Worker:
            # a worker that replaces another one must not be open because the file of keys is gone since
            known = order | {"was_closed": not keyring.is_open}
            return _Worker(json.dumps(known).encode() + b"\n", descriptors, metrics)

        descriptors = [lock] if shared is None else [lock, shared]
        self._slots = [
            _WorkerSlot(
                number,
                started,
                self._silence,
                replaced=lambda: record_restart(Path(metrics)),
            )
            for number in range(self._options.workers)
        ]
        # all are started before the first is awaited, so that they start in parallel
        for slot in self._slots:
            slot.begin()
        for slot in self._slots:
            self.http_endpoint = slot.run()
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


class _Worker:
    """One worker process, which may not serve yet.

    Args:
        order: Its configuration, one line of JSON.
        descriptors: Those that it inherits: the engine's lock, the Unix socket.
        metrics: Directory of the numbers of all workers.
    """

    def __init__(self, order: bytes, descriptors: Sequence[int], metrics: str) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            # in "/", since "-m" puts the working directory on the path and would import modules from there
            self.process = subprocess.Popen(
                [sys.executable, "-m", "actorc.storage.server.process.worker"],
                stdin=theirs.fileno(),
                cwd="/",
                # read by the library of the metrics when it is imported
                env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": metrics},
                pass_fds=descriptors,
            )
        # a worker that ended at once is noticed by `ready`
        with suppress(OSError):
            self._channel.sendall(order)

    def ready(self) -> str:
        """Wait until the worker serves; return the base of its presigned URLs.

        Raises:
            StorageError: It does not serve; the error is the one that it reported.
        """
        report: dict[str, Any] = {}
        with suppress(OSError), self._channel.makefile("rb") as lines:
            report = json.loads(lines.readline() or b"{}")
        if "http_endpoint" in report:
            return str(report["http_endpoint"])
        if "message" in report:
            # outside of the block above, since some errors of this package are an OSError, too
            raise error_class(report["reason"], report["status"])(report["message"])
        raise StorageError("a worker ended before it served; the lines above it in the log say why")

    def listen(self, silence: int) -> bool:
        """Read heartbeats; return False when the worker has ended, True after `silence` turns without one."""
        silent = 0
        with suppress(OSError):
            self._channel.settimeout(_TURN_SECONDS)
            while silent < silence:
                try:
                    if not self._channel.recv(4096):
                        return False
                    silent = 0
                except TimeoutError:
                    silent += 1
            return True
        return False

    def wait(self) -> str:
        """Wait for the end of the worker; return its exit code or the name of the signal."""
        # reaped, or it would stay a zombie
        code = self.process.wait()
        self._channel.close()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


class _WorkerSlot:
    """Keeps one worker running: a thread of its own starts another when it ends. The owner calls from one thread.

    Args:
        number: Number of the worker in the log.
        started: Starts and returns a new worker.
        silence: Turns without a heartbeat after which a worker is killed.
        replaced: Called when another worker was started.
    """

    def __init__(
        self, number: int, started: Callable[[], _Worker], silence: int, *, replaced: Callable[[], None]
    ) -> None:
        self._replaced = replaced
        self._number = number
        self._silence = silence
        self._started = started
        self._ending = threading.Event()
        self._killed = False
        # between `end` and `_replace`: without it, a worker started during the shutdown would be left running
        self._changes = threading.Lock()
        self._worker: _Worker | None = None
        self._thread = threading.Thread(target=self._run, name=f"storage-worker-{number}", daemon=True)

    def begin(self) -> None:
        """Start the first worker, which may not serve yet."""
        self._worker = self._started()

    def run(self) -> str:
        """Wait until the first worker serves, and from then on replace it when it ends; return the base of its URLs."""
        assert self._worker is not None
        endpoint = self._worker.ready()
        self._thread.start()
        return endpoint

    def end(self) -> None:
        """Send SIGTERM to the worker, and start no other."""
        with self._changes:
            self._ending.set()
            if self._worker is not None:
                self._worker.process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait until the worker has ended; kill it if that takes longer than `seconds`."""
        if self._worker is None:
            return
        try:
            self._worker.process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            log.warning("worker %d does not end and is killed", self._number)
            self._worker.process.kill()
        self._worker.wait()
        if self._thread.is_alive():
            self._thread.join()

    def kill(self) -> None:
        """Kill the worker and reap it. Takes no lock, since a signal handler calls it."""
        self._killed = True
        worker = self._worker
        # without a lock: the signal may have interrupted the thread that holds it
        if worker is not None and worker.process.returncode is None:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(worker.process.pid, signal.SIGKILL)
                os.waitpid(worker.process.pid, 0)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while (worker := self._worker) is not None:
            began = time.monotonic()
            if worker.listen(self._silence) and not self._ending.is_set():
                log.error("worker %d says nothing for %g s and is killed", self._number, self._silence * _TURN_SECONDS)
                worker.process.kill()
            how = worker.wait()
            if self._killed or self._ending.is_set():
                return
            # doubled up to ten seconds, so that a worker that cannot start does not use up a core
            pause = _FIRST_PAUSE if time.monotonic() - began > _STEADY_SECONDS else min(2 * pause, _LONGEST_PAUSE)
            log.error("worker %d ended (%s), another one is started in %g s", self._number, how, pause)
            self._ending.wait(pause)
            self._replace()

    def _replace(self) -> None:
        with self._changes:
            if self._ending.is_set():
                return
            self._worker = worker = self._started()
        with suppress(OSError):  # a full disk must not keep a worker from being replaced
            self._replaced()
        try:
            worker.ready()
        except StorageError as error:
            log.error("worker %d does not serve, %s", self._number, error.message)  # noqa: TRY400 - says it all
        else:
            log.info("worker %d serves again", self._number)


def _order(options: ServerOptions, lock: int, shared: int | None, own: OwnKey | None, metrics: str) -> dict[str, Any]:
    order: dict[str, Any] = {"options": to_plain(options), "lock": lock, "socket": shared, "level": log.root.level}
    order |= {"url_key": secrets.token_hex(32), "metrics": metrics}
    order["own"] = own and {"key": as_record(own.key), "closes": own.closes}
    return order
