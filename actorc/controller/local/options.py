"""How a controller runs."""

from __future__ import annotations

import json
import math
import secrets
import socket
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from actorc.storage._held_ports import shared_socket
from actorc.storage.addresses import Address, ip, parse

DEFAULT_LISTEN: Final = "127.0.0.1:50051"
DEFAULT_MAX_WORKERS: Final = 16
DEFAULT_CALL_TIMEOUT: Final = 3600.0
"""Seconds. Ignis ends every call after 300; on a machine of one's own a step may well train for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerOptions:
    """How a controller runs."""

    app_ids: tuple[str, ...] = field(repr=False)
    """Applications it serves: each id itself, and the id with a dot and more behind it."""
    listen: str = DEFAULT_LISTEN
    """Numeric ``HOST:PORT`` on loopback, or ``localhost:PORT``; port 0 finds one."""
    shares_port: bool = False
    """Whether who started it holds the port as well, see `reserved`."""
    max_workers: int = DEFAULT_MAX_WORKERS
    """How many worker processes there may be at a time."""
    call_timeout: float = DEFAULT_CALL_TIMEOUT
    """Seconds that a call may take, from when a worker begins with it, where its function says nothing else."""
    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    """What workers append to their ``sys.path``."""
    cwd: str = field(default_factory=lambda: str(Path.cwd()))
    """The working directory of workers."""

    def __post_init__(self) -> None:
        """Check what was given."""
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
    """Return options with a free port in the place of port 0, and a socket that holds it.

    Clients load what a controller sends them. As long as the socket is open, only this user can listen on that port,
    also when the controller has died: the system lets sockets share a port only if all of them are of one user.
    """
    address = address_of(options.listen)
    if address.port or not hasattr(socket, "SO_REUSEPORT"):
        return options, None
    held = shared_socket(address)
    return replace(options, listen=str(address._replace(port=held.getsockname()[1])), shares_port=True), held


def new_app_id() -> str:
    """Return an application id that nobody guesses."""
    return f"app-{secrets.token_urlsafe(24)}"


def address_of(listen: str) -> Address:
    """Return a numeric address on loopback to bind to.

    Raises:
        ValueError: It is no address, or one that other machines reach.
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
