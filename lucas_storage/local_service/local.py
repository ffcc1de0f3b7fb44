"""`local`: lets a program, a notebook or a test use the storage server of a directory, and workflows."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from actorc.fork_hooks import ForkSafeLock
from actorc.storage.client import StorageClient
from actorc.storage.errors import InvalidParameterError
from actorc.storage.setting_types import file_path
from actorc.storage.setting_types import port as port_of
from lucas_storage.display import tracebacks

from .provision import provide_lucas, provide_storage
from .script_hooks import before_scripts
from .service import LocalService
from .variables import Variables

__all__ = ["LocalStorage", "local"]


def local(data: str | os.PathLike[str] | None = None, *, port: int | None = None) -> LocalStorage:
    """Let this process and its children use storage and Lucas workflows; start what is missing.

    It does what ``lucas-storage run`` does for a script. Afterwards ``StorageClient()``, `Storage`, `run` and ``from
    lucas import …`` work without further settings, and so do commands such as ``lucas-storage ls`` in this directory:

    * Without `data`, a server that the settings name (``STORAGE_ENDPOINT``, a profile) is used as it is. Without one,
      the server of the nearest ``.lucas-storage`` is joined, here or above, else a new one made here. A server that is
      started admits this user only, and ends with the last process that uses it.
    * Endpoint and keys are set in the environment, for this process and for those that it starts.
    * Where genuine Lucas is not installed, the embedded engine takes its name, and keeps it to the end of the process.
    * An error that nothing catches is shown up to the caller's own line, until the end of the process; with
      ``LUCAS_STORAGE_TRACEBACKS=full``, all of it.

    Call it as often as you like, from any thread: while a server is in use, ``local()`` means that one, and starts it
    again if it was killed, with the same keys and, if it is free, port, so that clients made before go on. With
    another directory it switches: the last call is in force until it is closed, then the one before it; clients keep
    their server.

    Args:
        data: The data directory, made if it does not exist, instead of the nearest ``.lucas-storage``.
        port: The port of a server that is started here, if it is free; 0 for any. None: ``LUCAS_STORAGE_RUN_PORT``,
            else 9000.

    Returns:
        The server in use. As a context manager, or by its `close`, it restores the environment; else it stays in use
        until the process ends, and need not be kept.

    Raises:
        InvalidParameterError: The directory is another user's, or others can have put something there, or `port` is no
            port.
        StorageError: The server did not start; the message ends with the last lines of its log.
        ImportError: Another project called lucas has been imported already.
        OSError: The directory cannot be made or written to.
    """
    wanted = None if data is None else _directory(data)
    if port is not None:
        _check_port(port)
    try:
        return _uses.begin(wanted, port)
    except OSError as error:
        error.add_note("lucas_storage.local(DIRECTORY) keeps the data elsewhere, where you may write.")
        raise


class LocalStorage:
    """A storage server in use by this process, as `local` returns it. Any thread may use and close it.

    A forked child has a copy, which it may close without effect on its parent.
    """

    def __init__(self, use: _Use) -> None:
        self._use: _Use | None = use
        self._endpoint, self._data = use.endpoint, use.data

    @property
    def endpoint(self) -> str:
        """``host:port`` of the server, or of several with commas between them."""
        return self._endpoint if self._use is None else self._use.endpoint

    @property
    def data(self) -> Path | None:
        """The server's data directory; None if the settings named the server."""
        return self._data

    def client(self) -> StorageClient:
        """Return a new client of the server, with its keys."""
        service = self._use and self._use.service
        return service.client() if service else StorageClient(self.endpoint)

    def close(self) -> None:
        """Release the server and restore the environment, once all that `local` returned for it are closed.

        The server ends if no other process uses it. Calling this again does nothing.
        """
        _uses.end(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self._use is None else ""
        return f"<local storage at {self.endpoint}{f', data in {self.data}' if self.data else ''}{state}>"

    def _released(self) -> _Use | None:
        use, self._use = self._use, None
        if use is not None:
            self._endpoint = use.endpoint
        return use


class _Use:
    """The use of one server by this process, with the variables that lead to it; guarded by the lock of `_Uses`."""

    def __init__(self, data: Path | None, port: int | None) -> None:
        self.holders = 0
        """How many `LocalStorage` of it are open."""
        self.variables = Variables()
        self.service: LocalService | None = None
        self._provide(data, port)

    def _provide(self, data: Path | None, port: int | None) -> None:
        try:
            self.service = provide_storage(self.variables, data, port)
        except BaseException:
            self.variables.restore()
            raise
        self.endpoint = self.service.endpoint if self.service else os.environ["STORAGE_ENDPOINT"]
        self.data = self.service.data if self.service else None

    def is_in_force(self) -> bool:
        """Return whether the environment still leads to this server."""
        return os.environ.get("STORAGE_ENDPOINT") == self.endpoint

    def is_of(self, data: Path | None) -> bool:
        """Return whether a caller that names this directory, or none, means this server."""
        return data is None or (self.service is not None and self.service.data == data.resolve())

    def renew(self) -> None:
        """Start the server again if it has ended, on the same port if that is free."""
        if self.service is None or self.service.is_running():
            return
        dead = self.service
        self.variables.restore()
        self.variables.clear()
        # The new use of the directory first, so that no other process takes it for unused in between.
        self._provide(dead.data, int(dead.endpoint.rpartition(":")[2]))
        dead.close()

    def close(self) -> None:
        if self.service is not None:
            self.service.close()


class _Uses:
    """The servers in use by this process; the variables of the last one are set, and of no other."""

    def __init__(self) -> None:
        # guards all below, and the environment: two threads that begin at once must not both start a server
        self._lock = ForkSafeLock(threading.RLock)
        self._uses: list[_Use] = []
        self._is_prepared = False

    def begin(self, data: Path | None, port: int | None) -> LocalStorage:
        with self._lock.held():
            if not self._is_prepared:
                # First: if no server can be had, that error is shown short as well.
                tracebacks.install()
            use = self._joined(data) or self._made(data, port)
            use.holders += 1
            found = LocalStorage(use)
            try:
                self._prepare()
            except BaseException:
                self.end(found)
                raise
            return found

    def end(self, storage: LocalStorage) -> None:
        with self._lock.held():
            use = storage._released()  # noqa: SLF001  # under the lock, so that two threads do not release it twice
            if use is None:
                return
            use.holders -= 1
            if not use.holders:
                self._remove(use)

    def _joined(self, data: Path | None) -> _Use | None:
        use = self._uses[-1] if self._uses else None
        # A program that has named another server since then means that one.
        if use is None or not use.is_of(data) or not use.is_in_force():
            return None
        use.renew()
        return use

    def _made(self, data: Path | None, port: int | None) -> _Use:
        last = self._uses[-1] if self._uses else None
        if last is not None:
            # Its keys are not for the next server, and must not be taken for the user's own.
            last.variables.restore()
        try:
            use = _Use(data, port)
        except BaseException:
            if last is not None:
                last.variables.set_again()
            raise
        self._uses.append(use)
        return use

    def _remove(self, use: _Use) -> None:
        is_last = use is self._uses[-1]
        self._uses.remove(use)
        if is_last:
            use.variables.restore()
            if self._uses:
                self._uses[-1].variables.set_again()
        use.close()

    def _prepare(self) -> None:
        """Let `lucas` be imported, and other packages prepare for it, once in a process."""
        if self._is_prepared:
            return
        prepared = before_scripts()
        is_embedded = provide_lucas()
        for prepare in prepared:
            prepare(is_embedded)
        self._is_prepared = True


_uses: Final = _Uses()


def _directory(data: object) -> Path:
    try:
        return file_path(data)
    except ValueError as error:
        raise InvalidParameterError(f"data is {data!r}; it must be {error}") from error


def _check_port(port: object) -> None:
    try:
        port_of(port)
    except ValueError as error:
        raise InvalidParameterError(f"port is {port!r}; it must be {error}") from error
