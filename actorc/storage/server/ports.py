"""Ports that several sockets of one user share."""

from __future__ import annotations

import errno
import socket

from actorc.storage.errors import InvalidParameterError


def reserve(address: str, *, among_clients: bool = False) -> tuple[socket.socket, str]:
    """Return a socket that keeps a port for whoever else shares it, and the address with the port found.

    Nothing arrives at the socket. As long as it is open, only sockets of this user that ask to share the port get it:
    those of the server's own processes, and those with which clients keep it from other users.

    Args:
        address: A numeric ``HOST:PORT``; port 0 finds one.
        among_clients: Whether it may be held already by clients of this user that wait for their server to come back.

    Raises:
        InvalidParameterError: The port is taken or not allowed, or ports cannot be shared here.
    """
    host, _, port = address.rpartition(":")
    if not hasattr(socket, "SO_REUSEPORT"):
        raise InvalidParameterError("processes cannot share a port on this system; leave out --workers")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        held = _bound(family, (host.strip("[]"), int(port)), among_clients=among_clients)
    except OSError as error:
        raise InvalidParameterError(
            f"the server cannot listen on {address}, the port is taken or not allowed; choose another, 0 finds one"
        ) from error
    return held, f"{host}:{held.getsockname()[1]}"


def _bound(family: socket.AddressFamily, place: tuple[str, int], *, among_clients: bool) -> socket.socket:
    held = socket.socket(family)
    try:
        try:
            _bind_alone(held, place)
        except OSError:
            if not among_clients:
                raise
            _bind_among_clients(held, place)
    except BaseException:
        held.close()
        raise
    return held


def _bind_among_clients(held: socket.socket, place: tuple[str, int]) -> None:
    """Bind to a port that only clients of this user hold, who wait for its server to come back."""
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(place)
    with socket.socket(held.family) as probe:
        if probe.connect_ex(place) == 0:
            raise OSError(errno.EADDRINUSE, "a server of this user listens there")


def _bind_alone(held: socket.socket, place: tuple[str, int]) -> None:
    # connections of an earlier server that are still fading away are no hindrance, sockets that listen are
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(place)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
