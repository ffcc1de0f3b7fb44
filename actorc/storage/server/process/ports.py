"""Reservation of ports that several processes of one user share with `SO_REUSEPORT`."""

from __future__ import annotations

import errno
import socket
import time
from typing import Final

from actorc.addresses import Address
from actorc.storage.errors import InvalidParameterError
from actorc.storage.local_server.held_ports import shared_socket

_WAIT_SECONDS: Final = 2.0
"""Seconds to wait for workers of a killed server, which notice its end and stop."""
_POLL_SECONDS: Final = 0.02


def reserve(address: Address, *, among_clients: bool = False) -> tuple[socket.socket, Address]:
    """Return a bound socket that reserves a port, and its address with the port found.

    The socket does not listen. While it is open, only sockets of this user that set `SO_REUSEPORT` can bind the port:
    those of the server's own processes, and those with which clients keep the port from other users.

    Args:
        address: A numeric ``HOST:PORT``; port 0 finds one.
        among_clients: Whether clients of this user may hold it already, while they wait for a restart of the server.

    Raises:
        InvalidParameterError: The port is taken or not allowed, or ports cannot be shared here.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise InvalidParameterError("processes cannot share a port on this system; leave out --workers")
    try:
        held = _bound(address, among_clients=among_clients)
    except OSError as error:
        raise InvalidParameterError(
            f"the server cannot listen on {address}, the port is taken or not allowed; choose another, 0 finds one"
        ) from error
    return held, address._replace(port=held.getsockname()[1])


def _bound(address: Address, *, among_clients: bool) -> socket.socket:
    held = socket.socket(address.family)
    try:
        _bind_alone(held, address)
    except OSError:
        held.close()
        if not among_clients:
            raise
        return _bound_among_clients(address)
    except BaseException:
        held.close()
        raise
    return held


def _bound_among_clients(address: Address) -> socket.socket:
    """Return a socket at a port that only clients of this user hold, while they wait for a restart of the server."""
    held = shared_socket(address)
    deadline = time.monotonic() + _WAIT_SECONDS
    while _is_served(held):
        if time.monotonic() > deadline:
            # workers of a killed server may still listen; they end when they notice
            held.close()
            raise OSError(errno.EADDRINUSE, "a server of this user listens there")
        # asked again and again, since no system call waits until a port is free
        time.sleep(_POLL_SECONDS)
    return held


def _is_served(held: socket.socket) -> bool:
    with socket.socket(held.family) as probe:
        return probe.connect_ex(held.getsockname()) == 0


def _bind_alone(held: socket.socket, address: Address) -> None:
    # first without SO_REUSEPORT, so that it fails beside a listening server; SO_REUSEADDR allows for TIME_WAIT
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(address)
    # shared only now: the port is this server's
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
