"""Joins the storage server of a data directory if it runs, and starts it if it does not.

Three lock files beside the data coordinate the processes. The kernel releases a lock when its holder ends, even by a
signal, so nothing here trusts a process id or a file that a killed process left behind:

* ``.users.lock`` is held, shared, by every process that uses the server; the server ends once none holds it;
* ``.start.lock`` is held by the process that checks whether a server must be started, until the server answers;
* ``.server.lock`` is held by the server.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from actorc.addresses import parse
from actorc.storage.client import StorageClient
from actorc.storage.errors import StorageError
from actorc.storage.files import file_locks
from actorc.storage.local_server import local_endpoint, nearest_directory
from actorc.storage.local_server.local_endpoint import LocalEndpoint
from actorc.storage.local_server.shared_files import (
    DIRECTORY,
    SERVER_LOCK,
    former_endpoint,
    make_private,
    set_endpoint_aside,
    signing_key,
)

DEFAULT_DATA: Final = Path(DIRECTORY)
PATIENCE: Final = 30.0
"""Seconds that a server has to start, and another one to end; longer than a server waits for running calls."""

_POLL: Final = 0.02
_LOG_LINES: Final = 8


class LocalService:
    """A running storage server on this machine, kept alive until `close` or the end of this process.

    Any number of processes of one user may use one data directory at the same time; they share one server. A server
    that is started here listens on loopback, admits this user only, makes buckets as they are written to, and ends
    when the last process that uses it has closed it, ended or been killed.

    Args:
        data: The data directory, made if it does not exist, and closed to other users if it is open to them. None: the
            nearest ``.lucas-storage``, in the working directory or above it, else a new one there.
        port: The port of a server that is started here, if it is free on both loopback addresses; if it is not, and for
            0, the system chooses one.

    Attributes:
        data: The data directory.
        endpoint: The server's ``host:port``.
        access_key: Of this user alone; None if the server has no keys, because 'lucas-storage serve' started it so.
        secret_key: The secret of the access key.
        signing_key_file: File of the signing key of this data directory, made the first time, readable by this user
            only.
        caution: A warning to show to the user before anything is stored there; mostly empty.

    Raises:
        InvalidParameterError: The directory is another user's, or others can have put something there.
        StorageError: The server did not start; the message ends with the last lines of its log.
        OSError: The directory cannot be made or written to.
    """

    def __init__(self, data: Path | None = None, *, port: int = 0) -> None:
        if data is None:
            data = nearest_directory.find_directory() or DEFAULT_DATA
        # Through links: the checks of owner and mode are about the directory itself.
        self.data = data.resolve()
        home = _DataDirectory(self.data)
        with _named(home.data):
            make_private(home.data)
        # The users' lock first: a server that ends for lack of users keeps this lock exclusively until it has ended, so
        # a server that is found below stays.
        self._users = _lock(home.users_lock, file_locks.SHARED)
        try:
            with _named(home.data), _held(home.start_lock):
                self.signing_key_file = signing_key(home.data)
                found = _joined_or_started(home, port)
        except BaseException:
            # The lock is released on every error, so that a server without users ends.
            self.close()
            raise
        self.endpoint = found.endpoint
        self.access_key, self.secret_key = found.access_key, found.secret_key
        self.caution = ""
        if found.is_of_earlier_version:
            self.caution = (
                f"the server that runs for {self.data} is of an earlier version and lets in every user of this "
                "machine; end it, or what uses it, and start it again"
            )

    def is_running(self) -> bool:
        """Return whether the server still runs, and at the same address."""
        found = local_endpoint.read(self.data)
        return found is not None and found.endpoint == self.endpoint

    def client(self) -> StorageClient:
        """Return a new client of the server, with its keys."""
        return StorageClient(self.endpoint, self.access_key, self.secret_key)

    def close(self) -> None:
        """Release the server, which ends if no other process uses it. Calling this again does nothing."""
        if self._users >= 0:
            os.close(self._users)
            self._users = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _DataDirectory:
    """Paths of the files beside the data; the engine tolerates these names beside its own."""

    data: Path

    @property
    def users_lock(self) -> Path:
        return self.data / ".users.lock"

    @property
    def start_lock(self) -> Path:
        return self.data / ".start.lock"

    @property
    def server_lock(self) -> Path:
        return self.data / SERVER_LOCK

    def former_port(self) -> int:
        """Return the port of the server that was killed here, where its clients look for the next one; 0: none was."""
        try:
            return parse(former_endpoint(self.data).get("endpoint")).port
        except ValueError:
            return 0

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    def has_server(self) -> bool:
        """Return whether a server holds its lock, ready or not."""
        # Shared, so that another process that looks at the same time does not take this one for the server.
        lock = file_locks.try_open(self.server_lock, file_locks.SHARED)
        if lock is not None:
            os.close(lock)
        return lock is None

    def log_tail(self) -> str:
        """Return the last lines of the server's log, indented."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        except OSError:
            return ""
        return "".join(f"\n  {line}" for line in lines)


def _joined_or_started(home: _DataDirectory, port: int) -> LocalEndpoint:
    deadline = time.monotonic() + PATIENCE
    child: subprocess.Popen[bytes] | None = None
    ports = _ports(home, port)
    while time.monotonic() < deadline:
        # None has it after the server was killed, and after one that was ending has ended.
        if child is None and not home.has_server():
            # Else the next look at it could find the address of the server that ended, whose port may be another's.
            set_endpoint_aside(home.data)
            port = next(ports, 0)
            child = _start(home, port)
        found = local_endpoint.read(home.data)
        if found is not None:
            return found
        if child is not None and child.poll() is not None:
            if not home.has_server() and not port:
                raise StorageError(
                    f"the storage server for {home.data} ended with exit code {child.returncode} before it was ready; "
                    f"its log {home.log} ends with{home.log_tail()}"
                )
            # 'lucas-storage serve' was quicker and has the directory: join it. Or another program took the port: start
            # again on the next.
            child = None
        time.sleep(_POLL)
    raise StorageError(
        f"the storage server for {home.data} did not answer within {PATIENCE:g} s; its log {home.log} ends "
        f"with{home.log_tail()}"
    )


def _ports(home: _DataDirectory, port: int) -> Iterator[int]:
    """Yield the ports that a server should have, while they are free; each once, as another program may take it."""
    if port and local_endpoint.is_free(port):
        yield port
    former = home.former_port()
    if former and local_endpoint.is_free(former):
        yield former


def _start(home: _DataDirectory, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "actorc.storage.server", "--data", str(home.data), "--listen", f"127.0.0.1:{port}"]
    # HTTP on demand: few programs ask for URLs, and its library takes longer to load than all else. No key among the
    # arguments: every user of the machine can read a command line.
    command += ["--http", "on-demand", "--auto-create-buckets", "--private", "--linger-lock", str(home.users_lock)]
    with suppress(FileNotFoundError):
        # The log of the last server is kept, for the case that it crashed.
        home.log.replace(home.log.with_name("server.previous.log"))
    with open(home.log, "wb", opener=_private) as log:
        # In the working directory "-m" would import modules that lie there. In the session of the caller, Ctrl-C would
        # end the server while other processes use it.
        return _Server(command, cwd=home.data, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


class _Server(subprocess.Popen[bytes]):
    """A child that may outlive its parent, without the warning of `Popen` for a child that nobody waited for."""

    started: ClassVar[list[_Server]] = []
    """Those that were not seen to end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # One that has ended stays a zombie until it is waited for; a notebook may start many.
        self.started[:] = [each for each in list(self.started) if each.poll() is None]
        super().__init__(*arguments, **options)
        self.started.append(self)

    def __del__(self) -> None:
        """Do nothing: init reaps the child, or the next start in this process."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _named(directory: Path) -> Iterator[None]:
    """Add a directory to file-system errors that name no file, such as those of a full disk."""
    try:
        yield
    except StorageError:  # some are an OSError, too, and name what they are about
        raise
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(directory)
        raise


@contextmanager
def _held(path: Path) -> Iterator[None]:
    descriptor = _lock(path, file_locks.EXCLUSIVE)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, kind: int) -> int:
    try:
        return file_locks.open_within(PATIENCE, path, kind)
    except TimeoutError:
        raise StorageError(
            f"{path} stays locked by another process that starts or ends the storage server; end that process, "
            "or choose another data directory (--data, local(data))"
        ) from None
