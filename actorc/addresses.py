"""Addresses as ``host:port``, in text and for sockets."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple, TypeAlias

Ip: TypeAlias = IPv4Address | IPv6Address

_ADDRESS: Final = re.compile(r"(?:\[([^\s/\[\]]+)\]|([^\s/\[\]]+?))(?::([0-9]{1,5}))?")


class Address(NamedTuple):
    """A host and a port; sockets take the tuple, and ``str`` returns the text."""

    host: str
    """A name or a number, an IPv6 address without brackets."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """The family of a numeric address."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


def parse(text: object, default_port: int | None = None, *, listening: bool = False) -> Address:
    """Return the address in `text`.

    Args:
        text: ``host:port`` with a name or a number; an IPv6 address is in brackets.
        default_port: The port if `text` has none; None: it must have one.
        listening: Whether to listen there. Then port 0 means any free one, and an IPv6 address may have no brackets,
            which earlier versions allowed.

    Raises:
        ValueError: It is no address.
    """
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    bracketed, plain, digits = found.groups() if found else (None, ":", None)
    port = int(digits or default_port or -1)
    is_ipv6 = isinstance(ip(bracketed or plain), IPv6Address)
    is_host = is_ipv6 if bracketed else ":" not in plain or (is_ipv6 and listening)
    if not is_host or not (0 if listening else 1) <= port < 1 << 16:
        raise ValueError(f"{text!r} is no host:port")
    return Address(bracketed or plain, port)


def ip(host: str) -> Ip | None:
    """Return the IP address that a host is, without its zone; None if the host is a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def resolved(host: str) -> list[Ip]:
    """Return the IP addresses of a host.

    Raises:
        OSError: The name is unknown here.
        UnicodeError: It cannot be a name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]
