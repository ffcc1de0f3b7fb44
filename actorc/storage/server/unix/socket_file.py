"""The socket that programs of the same user find by the address of the server."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from actorc.addresses import Address
from actorc.storage.local_server.socket_files import directories, is_private, reached_by, socket_path

log = logging.getLogger(__name__)

_BACKLOG: Final = 128
"""Connections that may wait to be accepted; more are refused, and those clients go over TCP."""


class SocketFile:
    """A listening socket and its file. For one thread.

    Args:
        listener: The socket.
        path: Its file.
        address: The loopback address of the server that it belongs to.
    """

    def __init__(self, listener: socket.socket, path: Path, address: Address) -> None:
        self.listener = listener
        self.address = address
        self._path = path
        self._identity = _identity(path)

    def close(self) -> None:
        """Remove the file and close the socket. To be called while the server still has its address.

        A file that another server put in its place is left.
        """
        # a file that stays leads nowhere, and the next server replaces it
        with suppress(OSError):
            if _identity(self._path) == self._identity:
                self._path.unlink()
        self.listener.close()


def bound(listen: Address) -> SocketFile | None:
    """Bind the socket of a server that has the address `listen` for itself; None if it can have none.

    A server can do without: its clients then go over TCP.
    """
    address = reached_by(listen)
    if address is None or not hasattr(socket, "SO_PEERCRED"):
        return None
    for directory in directories():
        if (made := _bound_in(directory, address)) is not None:
            _sweep(directory)
            return made
    return None


def _bound_in(directory: Path, address: Address) -> SocketFile | None:
    path = socket_path(directory, address)
    if path is None:
        return None
    draft = path.with_suffix(f".{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        if not is_private(directory):
            raise PermissionError(f"{directory} is not this user's alone")
        draft.unlink(missing_ok=True)
        listener.bind(os.fspath(draft))
        listener.listen(_BACKLOG)
        # it listens before it has the name, and replaces the file of a server that was killed
        draft.rename(path)
        return SocketFile(listener, path, address)
    except OSError as error:
        listener.close()
        draft.unlink(missing_ok=True)
        log.debug("there is no socket for programs of this machine in %s, %s", directory, error)
        return None


def _sweep(directory: Path) -> None:
    """Remove the files of servers that were killed, which otherwise stay until a server gets the same port."""
    for path in directory.glob("*.sock"):
        # another server may remove or replace a file at any time
        with suppress(OSError):
            found = _identity(path)
            # what has its name listens already, so a socket that refuses connections is nobody's
            if stat.S_ISSOCK(path.lstat().st_mode) and _is_refused(path) and _identity(path) == found:
                path.unlink()


def _is_refused(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as tried:
        return tried.connect_ex(os.fspath(path)) == errno.ECONNREFUSED


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
