"""Where the Unix socket of a server is found: by the address that it listens on, in a directory of this user alone.

No answer of a server names a path, so no client is led to a socket of another user. The server that holds the address
binds its socket, and removes it before it gives the address back: a client that knows the address knows the name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actorc.addresses import Address, ip

from .held_ports import is_listening

_NAME: Final = "lucas-storage"
_LONGEST: Final = 107
"""Bytes of a path that a socket can be bound to (``sun_path`` in unix(7), with the zero behind it)."""
_LOOPBACK: Final = ("127.0.0.1", "::1")


def directories() -> Iterator[Path]:
    """Yield the directories where sockets of this user may be; they need not exist, nor be trustworthy."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):  # noqa: PTH117  # no Path yet
        yield Path(runtime, _NAME)
    # always, since a server that was started elsewhere may not have the variable
    yield Path("/tmp", f"{_NAME}-{os.geteuid()}")  # noqa: S108  # checked, and in a directory with the sticky bit


def is_private(directory: Path) -> bool:
    """Return whether a path is a directory of this user that nobody else can look into; a link is none."""
    try:
        status = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def socket_path(directory: Path, address: Address) -> Path | None:
    """Return the path of the socket of the server at a numeric address; None if it is too long, or cannot be told."""
    try:
        # the same port of another network namespace is another server's
        namespace = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116  # follows into the namespace file system
    except OSError:
        return None
    path = directory / f"{namespace}-{address.host}-{address.port}.sock"
    return path if len(os.fsencode(path)) <= _LONGEST else None


def reached_by(listen: Address) -> Address | None:
    """Return the loopback address by which a server that listens on an address is reached; None if by none."""
    number = ip(listen.host)
    if number is None:
        return None
    if number.is_unspecified:
        return listen._replace(host=_LOOPBACK[number.version == 6])
    return listen if number.is_loopback else None


def meant(named: Address) -> Address | None:
    """Return the numeric loopback address that an endpoint means; None if it is no loopback, or may be two servers.

    ``localhost`` is both loopback addresses. It means the one that has a socket here, unless a program listens on the
    other one as well: which of them a connection over TCP reaches is then not for us to say.
    """
    number = ip(named.host)
    if number is not None:
        return named if number.is_loopback else None
    if named.host.lower() != "localhost":
        return None
    here = [each for host in _LOOPBACK if find(each := Address(host, named.port)) is not None]
    if len(here) != 1:
        return None
    (found,) = here
    other = found._replace(host=_LOOPBACK[found.host == _LOOPBACK[0]])
    return None if is_listening(other) else found


def find(address: Address) -> Path | None:
    """Return the path of the socket of the server at a numeric address; None if there is none to be trusted."""
    for directory in directories():
        path = socket_path(directory, address)
        if path is not None and _is_socket(path) and is_private(directory):
            return path
    return None


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False
