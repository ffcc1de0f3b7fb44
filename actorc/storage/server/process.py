"""A server as a process: signals, the file that tells its address, and its end when nobody needs it any more."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from .config import ServerOptions, is_loopback
from .server import StorageServer
from .stopping import Stopping
from .workers import Workers

log = logging.getLogger(__name__)


def serve(options: ServerOptions, *, endpoint_file: Path | None = None, linger_lock: Path | None = None) -> None:
    """Run a server until SIGINT or SIGTERM; on the main thread.

    The first signal lets running calls finish for `options.grace` seconds, a second one ends the process at once.

    Args:
        options: How it runs.
        endpoint_file: Holds the server's address while it runs, as JSON with ``endpoint``, ``pid`` and ``data``; for
            this user's eyes only, and never seen half-written.
        linger_lock: Also stop once no process holds a shared lock (``flock``) on this file, however it ended. Take it
            before the server is started. The server keeps the file locked exclusively until its own end, so whoever
            gets the shared lock again knows that this server is gone.

    Raises:
        InvalidParameterError: The port is taken or not allowed.
        StorageError: The engine cannot be opened.
    """
    stopping = Stopping()
    workers = Workers(options) if options.workers > 1 else None
    _stop_on_signals(stopping, workers)
    with ExitStack() as stack:
        server = workers or StorageServer(options)
        stack.callback(server.stop)
        endpoint = server.start()
        if endpoint_file:
            stack.enter_context(_published(endpoint_file, endpoint, options))
        if linger_lock:
            _stop_when_unlocked(linger_lock, stopping)
        log.info("serving %s on %s", options.engine_url, endpoint)
        if server.http_endpoint:
            log.info("serving presigned URLs at %s", server.http_endpoint)
        _warn_of_exposure(server, options)
        stopping.wait()
        log.info("stopping, running calls have %g s to finish", options.grace)


def _warn_of_exposure(server: StorageServer | Workers, options: ServerOptions) -> None:
    if server.is_open:
        log.warning("no access keys are configured, so the server is open to every process on this machine")
    elif options.tls_cert is None and not is_loopback(options.listen):
        log.warning(
            "the server is reachable from other machines without TLS; nobody learns a secret key, but whoever is on "
            "the way can read and change what is sent"
        )


def _stop_on_signals(stopping: Stopping, workers: Workers | None) -> None:
    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stopping.begun:
            if workers is not None:
                workers.kill()
            os._exit(128 + number)
        stopping.begin()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


@contextmanager
def _published(path: Path, endpoint: str, options: ServerOptions) -> Iterator[None]:
    data = str(options.data.absolute()) if options.data else None
    content = json.dumps({"endpoint": endpoint, "pid": os.getpid(), "data": data})
    # mkstemp makes files of mode 0600
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    Path(temporary).replace(path)
    try:
        yield
    finally:
        if path.exists() and path.read_text(encoding="utf-8") == content:
            path.unlink()


def _stop_when_unlocked(path: Path, stopping: Stopping) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def wait() -> None:
        # held until the process is gone: the descriptor is never closed
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        log.info("nobody needs the server any more")
        stopping.begin()

    threading.Thread(target=wait, name="linger-lock", daemon=True).start()
