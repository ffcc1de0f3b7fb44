"""``python -m actorc.storage.server.process.worker``: one process of a server, started by `supervisor` only.

Standard input is a socket to the supervisor. The worker reads its configuration from it, reports that it serves, and
sends a heartbeat every second, but none while all threads of calls are stuck. When the socket closes, the supervisor is
gone and the worker ends.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from actorc.storage.errors import StorageError
from actorc.storage.server.auth.access_keys import OwnKey, from_record
from actorc.storage.server.config import Group
from actorc.storage.server.option_sources import from_plain
from actorc.storage.server.server import StorageServer
from actorc.storage.server.service.admission import CallPool
from actorc.storage.server.telemetry import log_output
from actorc.tracing import setup

from .garbage_collection import without_loaded_objects
from .heap_limit import limit_heaps
from .shutdown import ShutdownFlag

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 1.0
"""Seconds between two heartbeats."""
STUCK_SECONDS: Final = 1800.0
"""Seconds without the end of a call, with all threads busy, after which they count as stuck. Only a transfer takes that
long, and transfers never get all threads; the longest wait for a store is ten minutes."""
_EXIT_SECONDS: Final = 5.0
"""Seconds until the process exits after the supervisor has gone."""


def main() -> int:
    """Serve until SIGTERM or the end of the supervisor; return the exit code."""
    limit_heaps()
    # Ctrl-C signals the whole process group; the supervisor decides and sends SIGTERM
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shutdown, orphaned = ShutdownFlag(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: shutdown.begin())
    with socket.fromfd(sys.stdin.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        order: dict[str, Any] = json.loads(_line(channel) or b"null") or sys.exit(2)
        # daemon: it waits for a message of the supervisor, which need never come
        threading.Thread(
            target=_watch_supervisor, args=(channel, shutdown, orphaned), name="left-alone", daemon=True
        ).start()
        return _serve(order, channel, shutdown, orphaned)


def _serve(order: dict[str, Any], channel: socket.socket, shutdown: ShutdownFlag, orphaned: threading.Event) -> int:
    group = Group(
        lock=order["lock"],
        url_key=bytes.fromhex(order["url_key"]),
        # a supervisor of an earlier version, which started this worker, names neither
        metrics=Path(order["metrics"]) if "metrics" in order else None,
        socket=order.get("socket"),
        was_closed=order.get("was_closed", False),
    )
    own = order["own"] and OwnKey(from_record(order["own"]["key"]), closes=order["own"]["closes"])
    try:
        # the supervisor raises the error in the process that the user started
        options = from_plain(order["options"])
        log_output.configure(options, of_worker=True, level=order["level"])
        setup.set_up(setup.SERVER)
        server = StorageServer(options, group=group, own=own)
        server.start()
    except StorageError as error:
        _report(channel, {"reason": error.reason, "status": error.status, "message": error.message})
        return 2
    _report(channel, {"http_endpoint": server.http_endpoint})
    threading.Thread(
        target=send_heartbeats,
        args=(channel, server.parts.calls),
        kwargs={"look": server.notice_keys},
        name="sign-of-life",
        daemon=True,
    ).start()
    with without_loaded_objects():
        shutdown.wait()
    server.stop(0 if orphaned.is_set() else None)
    return 0


def _watch_supervisor(channel: socket.socket, shutdown: ShutdownFlag, orphaned: threading.Event) -> None:
    """Wait for the end of the supervisor, then request a shutdown; exit if that takes longer than `_EXIT_SECONDS`."""
    # a broken socket means the same as the end of the stream
    with suppress(OSError):
        while channel.recv(1):
            pass
    orphaned.set()
    shutdown.begin()
    threading.Event().wait(_EXIT_SECONDS)
    # not `sys.exit`, which would wait for threads that are stuck
    os._exit(1)


def send_heartbeats(
    channel: socket.socket,
    calls: CallPool,
    interval: float = INTERVAL_SECONDS,
    *,
    look: Callable[[], None] = lambda: None,
) -> None:
    """Send a heartbeat every `interval` seconds, until the supervisor is gone or the calls are stuck.

    Args:
        channel: Leads to the supervisor.
        calls: The calls of this process.
        interval: Seconds.
        look: Called before each; must be quick and raise nothing.
    """
    # never set; its `wait` is a sleep that ends with the daemon thread
    pause = threading.Event()
    # the supervisor has gone, and another thread ends this process
    with suppress(OSError):
        while not pause.wait(interval):
            look()
            if (stuck := calls.stuck_seconds()) < STUCK_SECONDS:
                channel.sendall(b"\n")
            elif stuck < STUCK_SECONDS + 2 * interval:
                log.error("all threads are taken and no call has ended for %.0f s; a new worker is wanted", stuck)


def _line(channel: socket.socket) -> bytes:
    with channel.makefile("rb", buffering=0) as lines:
        return lines.readline()


def _report(channel: socket.socket, news: dict[str, str]) -> None:
    # a supervisor that has gone needs no report
    with suppress(OSError):
        channel.sendall(json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
