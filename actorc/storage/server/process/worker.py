"""``python -m actorc.storage.server.process.worker``: one process of a server, started by `supervisor` alone.

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
from contextlib import suppress
from typing import Any, Final

from actorc.storage.errors import StorageError
from actorc.storage.server.auth.key_file import OwnKey, from_record
from actorc.storage.server.config import Group
from actorc.storage.server.grpc.admission import CallPool
from actorc.storage.server.options import from_plain
from actorc.storage.server.server import StorageServer

from .shutdown import Stopping

log = logging.getLogger(__name__)

_EVERY: Final = 1.0
"""Seconds between two heartbeats."""
_STUCK: Final = 1800.0
"""Seconds without the end of a call, with all threads busy, after which they count as stuck. Only a transfer takes that
long, and transfers never get all threads; the longest wait for a store is ten minutes."""
_LAST: Final = 5.0
"""Seconds until the process exits after the supervisor has gone."""


def main() -> int:
    """Serve until SIGTERM or the end of the supervisor; return the exit code."""
    # Ctrl-C signals the whole process group; the supervisor decides and sends SIGTERM
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopping, left = Stopping(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.begin())
    with socket.fromfd(sys.stdin.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        order: dict[str, Any] = json.loads(_line(channel) or b"null") or sys.exit(2)
        logging.basicConfig(level=order["level"], format="%(asctime)s %(levelname)s [%(process)d] %(name)s %(message)s")
        threading.Thread(target=_watch, args=(channel, stopping, left), name="left-alone", daemon=True).start()
        return _serve(order, channel, stopping, left)


def _serve(order: dict[str, Any], channel: socket.socket, stopping: Stopping, left: threading.Event) -> int:
    group = Group(lock=order["lock"], url_key=bytes.fromhex(order["url_key"]))
    own = order["own"] and OwnKey(from_record(order["own"]["key"]), closes=order["own"]["closes"])
    try:
        server = StorageServer(from_plain(order["options"]), group=group, own=own)
        server.start()
    except StorageError as error:
        _tell(channel, {"reason": error.reason, "status": error.status, "message": error.message})
        return 2
    _tell(channel, {"http_endpoint": server.http_endpoint})
    threading.Thread(target=_live, args=(channel, server.calls), name="sign-of-life", daemon=True).start()
    stopping.wait()
    server.stop(0 if left.is_set() else None)
    return 0


def _watch(channel: socket.socket, stopping: Stopping, left: threading.Event) -> None:
    """Wait for the end of the supervisor, request a shutdown, and exit if that takes longer than `_LAST`."""
    with suppress(OSError):
        while channel.recv(1):
            pass
    left.set()
    stopping.begin()
    threading.Event().wait(_LAST)
    os._exit(1)


def _live(channel: socket.socket, calls: CallPool) -> None:
    """Send heartbeats, until the supervisor is gone or the calls are stuck."""
    pause = threading.Event()
    with suppress(OSError):
        while not pause.wait(_EVERY):
            if (stuck := calls.stands_still()) < _STUCK:
                channel.sendall(b"\n")
            elif stuck < _STUCK + 2 * _EVERY:
                log.error("all threads are taken and no call has ended for %.0f s; a new worker is wanted", stuck)


def _line(channel: socket.socket) -> bytes:
    with channel.makefile("rb", buffering=0) as lines:
        return lines.readline()


def _tell(channel: socket.socket, news: dict[str, str]) -> None:
    with suppress(OSError):
        channel.sendall(json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
