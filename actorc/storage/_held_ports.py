"""Ports of servers that are kept in this user's hands, so that a client never talks to somebody else in their place."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Final

from actorc.fork_hooks import ForkSafeLock

from .addresses import Address, parse

_LOOPBACK: Final = ("127.0.0.1", "::1")
_PROBING: Final = 1.0
"""Seconds; loopback answers at once, unless whoever listens there is overrun."""


class _Ports:
    """Sockets that keep the ports of servers in this user's hands, one for each data directory or address."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()  # guards the sockets, which stay held in a forked child
        self._held: dict[Path | Address, tuple[Address, socket.socket]] = {}

    def hold(self, directory: Path, endpoint: str) -> bool:
        """Keep a port, instead of another one of that directory; return whether this user alone has it."""
        with self._lock.held():
            try:
                self._keep(directory, parse(endpoint))
            except (OSError, AttributeError):
                return False
            return True

    def hold_loopback(self, port: int) -> bool:
        """Keep a port of both loopback addresses, though nobody may listen yet; return whether this user alone has it.

        Where sockets cannot share a port, nothing is kept: this user's server could not listen there any more.
        """
        if not can_be_shared(_LOOPBACK[0]):
            return True
        with self._lock.held():
            return all(self._is_ours(Address(host, port)) for host in _LOOPBACK)

    def _is_ours(self, address: Address) -> bool:
        try:
            self._keep(address, address)
        except OSError as error:
            # without IPv6, for one, nobody can listen there
            return error.errno not in {errno.EADDRINUSE, errno.EACCES}
        return True

    def _keep(self, name: Path | Address, address: Address) -> None:
        present = self._held.get(name)
        if present and present[0] == address:
            return
        held = shared_socket(address)
        if present:
            present[1].close()
        self._held[name] = address, held


_ports: Final = _Ports()
hold: Final = _ports.hold
hold_loopback: Final = _ports.hold_loopback


def is_served(port: int) -> bool:
    """Return whether anybody listens on a port of loopback, so that ``localhost:PORT`` leads to them."""
    return any(_accepts(Address(host, port)) for host in _LOOPBACK)


def _accepts(address: Address) -> bool:
    try:
        with socket.socket(address.family) as probe:
            probe.settimeout(_PROBING)
            return probe.connect_ex(address) == 0
    except OSError:  # no IPv6 here
        return False


def can_be_shared(host: str) -> bool:
    """Return whether sockets of this user may share a port of an address, which some sandboxes say and do not keep.

    Args:
        host: A numeric address.
    """
    try:
        with shared_socket(Address(host, 0)) as one, shared_socket(Address(host, one.getsockname()[1])):
            return True
    except (OSError, AttributeError):
        return False


def shared_socket(address: Address) -> socket.socket:
    """Return a socket at a port that no other user can have meanwhile, and this one can with others like it.

    Raises:
        OSError: Another user has it, or this one without sharing it.
        AttributeError: The system does not know what sharing is.
    """
    shared = socket.socket(address.family)
    try:
        # never with SO_REUSEADDR: beside a socket that has it and does not listen, any user's may listen
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
    except BaseException:
        shared.close()
        raise
    return shared
