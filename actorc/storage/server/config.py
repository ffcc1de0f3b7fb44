"""What a server can be told."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from actorc.storage.errors import InvalidParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How one server runs; checked when made.

    Raises:
        InvalidParameterError: A value makes no sense, or `listen` is reachable from other machines.
    """

    data: Path | None = None
    """Directory of the embedded engine. Either this or `engine`."""
    engine: str = ""
    """URL of an engine, such as ``memory://``."""
    listen: str = "127.0.0.1:9000"
    """``HOST:PORT``; every address of the host must be a loopback address. Port 0: any free one."""
    auto_create_buckets: bool = False
    """Whether a write to a bucket that does not exist makes it."""
    threads: int = 64
    """Calls that run at the same time."""
    reserved: int = 8
    """How many of `threads` uploads and downloads never take, so that small calls are always answered."""
    queue: int = 256
    """Small calls that may wait for a thread; more are refused at once."""
    idle_timeout: float = 60.0
    """Seconds after which an upload that sends nothing, or a download that takes nothing, is ended."""
    grace: float = 10.0
    """Seconds that running calls have to finish when the server stops."""

    def __post_init__(self) -> None:
        if bool(self.engine) == (self.data is not None):
            raise InvalidParameterError("a server needs either a data directory or the URL of an engine")
        if not 1 <= self.reserved < self.threads:
            raise InvalidParameterError("threads must be more than reserved, and reserved at least 1")
        if self.queue < 0 or self.idle_timeout <= 0 or self.grace < 0:
            raise InvalidParameterError("queue and grace must not be negative, and idle_timeout must be positive")
        loopback_address(self.listen)

    @property
    def engine_url(self) -> str:
        """The engine to open."""
        return self.engine if self.data is None else self.data.absolute().as_uri()

    @property
    def max_streams(self) -> int:
        """Uploads and downloads that run at the same time."""
        return self.threads - self.reserved


def loopback_address(listen: str) -> str:
    """Return the numeric address to bind for ``HOST:PORT``, IPv4 if the host has both.

    Raises:
        InvalidParameterError: It is malformed, unknown, or any address of the host is not loopback.
    """
    host, port = _split(listen)
    addresses = _resolve(host)
    for address in addresses:
        if not address.is_loopback:
            raise InvalidParameterError(
                f"{listen!r} is reachable from other machines ({address}) and this server knows no access keys; "
                "listen on 127.0.0.1 or localhost, access keys are needed beyond loopback"
            )
    chosen = min(addresses, key=lambda address: address.version)
    return f"[{chosen}]:{port}" if chosen.version == 6 else f"{chosen}:{port}"


def _split(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise InvalidParameterError(f"{listen!r} is no address to listen on; use HOST:PORT, such as 127.0.0.1:9000")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _resolve(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidParameterError(f"the host {host!r} is not known here; listen on 127.0.0.1") from error
    return [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
