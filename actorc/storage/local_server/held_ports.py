"""Holds ports of servers for this user, so that a client never connects to another user's program in their place."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Final

from actorc.addresses import Address, parse
from actorc.fork_hooks import ForkSafeLock

_LOOPBACK: Final = ("127.0.0.1", "::1")
_PROBING: Final = 1.0
"""Seconds; loopback answers at once, unless the server there is overloaded."""


class _Ports:
    """Sockets, by descriptor, that hold the ports of servers for this user, one for each data directory or address.

    Any thread may call it.
    """

    def __init__(self) -> None:
        # guards `_held`: two threads must not bind and close the sockets of one name at once; a forked child keeps them
        self._lock = ForkSafeLock()
        self._held: dict[Path | Address, tuple[Address, int]] = {}

    def hold(self, directory: Path, endpoint: str) -> bool:
        """Hold a port, instead of another one of that directory; return whether only this user has it."""
        with self._lock.held():
            try:
                self._keep(directory, parse(endpoint))
            except (OSError, AttributeError):
                return False
            return True

    def hold_loopback(self, port: int) -> bool:
        """Hold a port of both loopback addresses, also if nothing listens there; return whether only this user has it.

        Where sockets cannot share a port, none is held: this user's server could not listen there any more.
        """
        if not can_be_shared(_LOOPBACK[0]):
            return True
        with self._lock.held():
            return all(self._is_ours(Address(host, port)) for host in _LOOPBACK)

    def _is_ours(self, address: Address) -> bool:
        try:
            self._keep(address, address)
        except OSError as error:
            # for example, without IPv6 no program can listen there
            return error.errno not in {errno.EADDRINUSE, errno.EACCES}
        return True

    def _keep(self, name: Path | Address, address: Address) -> None:
        current = self._held.get(name)
        if current and current[0] == address:
            return
        # the new one first, so that at no moment another user can take the port
        held = shared_socket(address)
        if current:
            os.close(current[1])
        # a descriptor, which ends with the process; of an open socket Python would warn at its end
        self._held[name] = address, held.detach()


_ports: Final = _Ports()
hold: Final = _ports.hold
hold_loopback: Final = _ports.hold_loopback


def is_served(port: int) -> bool:
    """Return whether a program listens on a port of loopback, so that ``localhost:PORT`` leads to it."""
    return any(is_listening(Address(host, port)) for host in _LOOPBACK)


def is_listening(address: Address) -> bool:
    """Return whether a program listens on a numeric address."""
    try:
        with socket.socket(address.family) as probe:
            probe.settimeout(_PROBING)
            return probe.connect_ex(address) == 0
    except OSError:  # no IPv6 here
        return False


def can_be_shared(host: str) -> bool:
    """Return whether sockets of this user can share a port of an address; some sandboxes only claim it.

    Args:
        host: A numeric address.
    """
    try:
        with shared_socket(Address(host, 0)) as first, shared_socket(Address(host, first.getsockname()[1])):
            return True
    except (OSError, AttributeError):
        return False


def shared_socket(address: Address) -> socket.socket:
    """Return a socket bound to a port, which until it closes only this user can have, with other such sockets.

    Raises:
        OSError: Another user has the port, or this user without sharing it.
        AttributeError: The system cannot share ports.
    """
    shared = socket.socket(address.family)
    try:
        # never with SO_REUSEADDR: beside a socket that has it and does not listen, a socket of any user may listen
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
    except BaseException:
        # else the socket would hold the port until it is collected
        shared.close()
        raise
    return shared
