"""The storage server of a data directory: joined if it runs, started if it does not.

Three files beside the data decide who does what. All are locks (``flock``), which the kernel drops however their holder
ends, so nothing here trusts a process id or a file that a killed process left behind:

* ``.users.lock`` is shared by all that use the server; the server ends once nobody holds it;
* ``.start.lock`` is held by the one that finds out whether a server must be started, and waits until it answers;
* ``.server.lock`` is held by the server, which inherits it from the one that started it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from actorc.storage.errors import StorageError

DEFAULT_DATA: Final = Path(".lucas-storage")
PATIENCE: Final = 30.0
"""Seconds that a server has to start, and another one to end; longer than a server waits for running calls."""

_POLL: Final = 0.02
_LOG_LINES: Final = 8


class LocalService:
    """A running storage server on this machine, kept alive until `close` or the end of this process.

    Any number of processes may use one data directory at the same time; they share one server. It listens on loopback
    and makes buckets as they are written to. It outlives neither all its users nor their being killed.

    Args:
        data: The data directory, made if it does not exist.

    Attributes:
        endpoint: The server's ``host:port``.
        signing_key_file: Holds the signing key of this data directory, made the first time, for this user's eyes only.

    Raises:
        StorageError: The server did not start; the message ends with the last lines of its log.
        OSError: The directory cannot be made or written to.
    """

    def __init__(self, data: Path = DEFAULT_DATA) -> None:
        home = _Home(data.absolute())
        home.make()
        self._users = _lock(home.users_lock, fcntl.LOCK_SH)
        try:
            with _held(home.start_lock):
                self.signing_key_file = home.signing_key()
                self.endpoint = _joined_or_started(home)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Need the server no longer; it ends if nobody else does. Calling it again does nothing."""
        if self._users >= 0:
            os.close(self._users)
            self._users = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Home:
    """Where everything lies in a data directory; the engine tolerates these names beside its own."""

    data: Path

    @property
    def users_lock(self) -> Path:
        return self.data / ".users.lock"

    @property
    def start_lock(self) -> Path:
        return self.data / ".start.lock"

    @property
    def server_lock(self) -> Path:
        return self.data / ".server.lock"

    @property
    def endpoint_file(self) -> Path:
        return self.data / "endpoint.json"

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    def make(self) -> None:
        """Make the directory; a new one is private, and ignored by git."""
        if self.data.is_dir():
            return
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700, exist_ok=True)
        (self.data / ".gitignore").write_text("*\n")

    def signing_key(self) -> Path:
        """Return the file with this directory's signing key, made the first time; call it with the start lock held."""
        path = self.data / ".signing.key"
        if not path.exists():
            # mkstemp makes files of mode 0600
            descriptor, draft = tempfile.mkstemp(dir=self.data, prefix=".signing.key.")
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        return path

    def endpoint(self) -> str | None:
        """Return the address that the server wrote down, if something answers there."""
        try:
            endpoint = str(json.loads(self.endpoint_file.read_text())["endpoint"])
            host, _, port = endpoint.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return endpoint

    def log_tail(self) -> str:
        """Return the last lines of the server's log, indented."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        except OSError:
            return ""
        return "".join(f"\n  {line}" for line in lines)


def _joined_or_started(home: _Home) -> str:
    deadline = time.monotonic() + PATIENCE
    child: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        # Free after the server was killed, and after one that was ending has ended.
        lock = None if child else _try_lock(home.server_lock, fcntl.LOCK_EX)
        if lock is not None:
            child = _start(home, lock)
        endpoint = home.endpoint()
        if endpoint is not None:
            return endpoint
        if child is not None and child.poll() is not None:
            raise StorageError(
                f"the storage server for {home.data} ended with exit code {child.returncode} before it was ready; "
                f"its log {home.log} ends with{home.log_tail()}"
            )
        time.sleep(_POLL)
    raise StorageError(
        f"the storage server for {home.data} did not answer within {PATIENCE:g} s; its log {home.log} ends "
        f"with{home.log_tail()}"
    )


def _start(home: _Home, lock: int) -> subprocess.Popen[bytes]:
    """Start a server that inherits `lock`, which is closed here."""
    command = [sys.executable, "-m", "actorc.storage.server", "--data", str(home.data), "--listen", "127.0.0.1:0"]
    # no URL outlives this server, which ends with its last user
    command += ["--http", "off", "--auto-create-buckets", "--endpoint-file", str(home.endpoint_file)]
    command += ["--linger-lock", str(home.users_lock)]
    try:
        home.endpoint_file.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            # What the last server said is worth keeping if it crashed.
            home.log.replace(home.log.with_name("server.previous.log"))
        with open(home.log, "wb", opener=_private) as log:
            # Elsewhere, "-m" would import modules of the user's directory; in its group, Ctrl-C would end the server.
            return _Server(
                command,
                cwd=home.data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,
            )
    finally:
        os.close(lock)


class _Server(subprocess.Popen[bytes]):
    """A child that may outlive its parent; not waiting for it is no mistake to warn of."""

    def __del__(self) -> None:
        """Forget the child; init, or whoever waits for all children, reaps it."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    descriptor = _lock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, kind: int) -> int:
    deadline = time.monotonic() + PATIENCE
    while (descriptor := _try_lock(path, kind)) is None:
        if time.monotonic() > deadline:
            raise StorageError(
                f"{path} stays locked by another process that starts or ends the storage server; end that process, "
                "or choose another data directory with --data"
            )
        time.sleep(_POLL)
    return descriptor


def _try_lock(path: Path, kind: int) -> int | None:
    """Return the open descriptor that holds the lock, or None if another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
