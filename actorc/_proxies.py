"""HTTP proxies that the environment names: never on the way to this machine, and told of where one is in the way.

gRPC and the library of object stores read the variables by themselves; this says what gRPC reads, and when neither
must.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from functools import lru_cache
from typing import Final

_VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
"""In the order in which gRPC asks for them; it does not look at upper case."""
_EXCLUSIONS: Final = ("no_grpc_proxy", "no_proxy")

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def channel_options(address: str) -> tuple[tuple[str, int], ...]:
    """Return the options of gRPC for a channel to ``host:port``: past every proxy if that is this machine."""
    return (("grpc.enable_http_proxy", 0),) if _is_here(_host(address)) else ()


def leads_here(host: str) -> bool:
    """Return whether a name or a number, which may be IPv6 in brackets, means this machine alone."""
    host = host.strip("[]")
    return _is_here(host) or (_ip(host) is None and _leads_here(host))


def advice(address: str) -> str:
    """Return what to say when ``host:port`` cannot be reached: which proxy is in the way, and how to go past it.

    Nothing if none is. The name and the password that a variable may hold are left out.
    """
    host, variable = _host(address), _variable()
    if not variable or _is_excluded(host) or _is_here(host):
        return ""
    return (
        f"connections to it go through the proxy {_without_secrets(os.environ[variable])} that {variable} names; add "
        f"{host} to no_proxy if it is to be reached directly"
    )


def _variable() -> str:
    """Return the name of the variable that gRPC takes its proxy from; empty if there is none."""
    return next((name for name in _VARIABLES if os.environ.get(name)), "")


def _host(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.rpartition(":")[0] or address


def _is_here(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    ip = _ip(host)
    if ip is not None:
        return _is_own(ip)
    # asking costs time, and only matters where a proxy would be used
    return bool(_variable()) and _leads_here(host)


@lru_cache(maxsize=64)
def _leads_here(host: str) -> bool:
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all((ip := _ip(each)) is not None and _is_own(ip) for each in found)


def _is_own(ip: _Ip) -> bool:
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    # the kernel takes the address of "any" for loopback when somebody connects to it
    return ip.is_loopback or ip.is_unspecified


def _ip(host: str) -> _Ip | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_excluded(host: str) -> bool:
    listed = next((text for name in _EXCLUSIONS if (text := os.environ.get(name))), "")
    ip = _ip(host)
    return any(_covers(entry.strip(), host, ip) for entry in listed.split(",") if entry.strip())


def _covers(entry: str, host: str, ip: _Ip | None) -> bool:
    if ip is not None and "/" in entry:
        try:
            return ip in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    return host.lower().endswith(entry.lower())


def _without_secrets(url: str) -> str:
    scheme, mark, rest = url.rpartition("://")
    return scheme + mark + rest.rpartition("@")[2].partition("/")[0]
