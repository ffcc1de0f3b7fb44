"""Options of a controller, checked at once, because it reports errors only to its log after it has started."""

from __future__ import annotations

import json
import math
import secrets
import socket
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from actorc.addresses import Address, ip, parse
from actorc.storage.local_server.held_ports import shared_socket

DEFAULT_LISTEN: Final = "127.0.0.1:50051"
DEFAULT_MAX_WORKERS: Final = 16
DEFAULT_CALL_TIMEOUT: Final = 3600.0
"""Seconds. Ignis ends every call after 300, but a step on a user's own machine may train for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerOptions:
    """Options of a controller; a wrong one raises at construction."""

    app_ids: tuple[str, ...] = field(repr=False)
    """Applications it serves: each id, and each id followed by a dot and more."""
    listen: str = DEFAULT_LISTEN
    """Numeric ``HOST:PORT`` on loopback, or ``localhost:PORT``; port 0 chooses a free one."""
    shares_port: bool = False
    """Whether its parent holds the port as well, see `reserved`."""
    max_workers: int = DEFAULT_MAX_WORKERS
    """Greatest number of worker processes at a time."""
    call_timeout: float = DEFAULT_CALL_TIMEOUT
    """Seconds that a call may take, from its start in a worker, unless its function sets another limit."""
    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    """Paths that workers append to their ``sys.path``."""
    cwd: str = field(default_factory=lambda: str(Path.cwd()))
    """The working directory of workers."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.app_ids or not all(self.app_ids):
            raise ValueError("the controller has no application to serve; give it an id, which must not be empty")
        if self.max_workers < 1:
            raise ValueError(f"{self.max_workers} workers are too few; at least one is needed")
        if not 0 < self.call_timeout < math.inf:
            raise ValueError(f"{self.call_timeout:g} is no time for a call; give seconds above 0, such as 600")
        address_of(self.listen)

    def to_json(self) -> str:
        """Return the options as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> ControllerOptions:
        """Return the options that `to_json` wrote."""
        given: dict[str, Any] = json.loads(line)
        return cls(**given | {name: tuple(given[name]) for name in ("app_ids", "path")})


def reserved(options: ControllerOptions) -> tuple[ControllerOptions, socket.socket | None]:
    """Return options with a free port in place of port 0, and a socket that holds it.

    Clients unpickle the values a controller sends. As long as the socket is open, only this user can listen on that
    port, even after the controller has died: the system lets sockets share a port only if all of them belong to one
    user.
    """
    address = address_of(options.listen)
    if address.port or not hasattr(socket, "SO_REUSEPORT"):
        return options, None
    held = shared_socket(address)
    return replace(options, listen=str(address._replace(port=held.getsockname()[1])), shares_port=True), held


def new_app_id() -> str:
    """Return an unguessable application id."""
    return f"app-{secrets.token_urlsafe(24)}"


def address_of(listen: str) -> Address:
    """Return the numeric loopback address to bind to.

    Raises:
        ValueError: It is no address, or one that other machines can reach.
    """
    try:
        host, port = parse(listen, listening=True)
    except ValueError:
        raise ValueError(
            f"{listen!r} is no address to listen on; give 'host:port' such as {DEFAULT_LISTEN!r}"
        ) from None
    number = ip("127.0.0.1" if host == "localhost" else host)
    if number is None or not number.is_loopback:
        raise ValueError(
            f"{listen!r} is reachable from other machines, and whoever reaches a controller may run code; "
            "listen on 127.0.0.1 or [::1]"
        )
    return Address(str(number), port)
