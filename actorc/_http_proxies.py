"""HTTP proxies from the environment: never used for this machine, and named in errors if one is in the way.

gRPC and the library of object stores read the variables by themselves; this module knows which ones gRPC reads, and
when neither may.
"""

from __future__ import annotations

import ipaddress
import os
from functools import lru_cache
from typing import Final

from actorc.addresses import Ip, ip, parse, resolved

_VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
"""In the order in which gRPC reads them; it ignores those in upper case."""
_EXCLUSIONS: Final = ("no_grpc_proxy", "no_proxy")


def channel_options(address: str) -> tuple[tuple[str, int], ...]:
    """Return gRPC's options for a channel to ``host:port``: no proxy if that is this machine."""
    return (("grpc.enable_http_proxy", 0),) if _is_here(parse(address).host) else ()


def leads_here(host: str) -> bool:
    """Return whether a name or a number, which may be IPv6 in brackets, means only this machine."""
    host = host.strip("[]")
    return _is_here(host) or (ip(host) is None and _leads_here(host))


def advice(address: str) -> str:
    """Return the advice for an error about ``host:port``: which proxy is in the way, and how to avoid it.

    Empty if there is no proxy. Name and password in the variable are left out.
    """
    host, variable = parse(address).host, _variable()
    if not variable or _is_excluded(host) or _is_here(host):
        return ""
    return (
        f"connections to it go through the proxy {_without_secrets(os.environ[variable])} that {variable} names; add "
        f"{host} to no_proxy if it is to be reached directly"
    )


def _variable() -> str:
    """Return the variable that gRPC takes its proxy from; empty if there is none."""
    return next((name for name in _VARIABLES if os.environ.get(name)), "")


def _is_here(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    number = ip(host)
    if number is not None:
        return _is_own(number)
    # resolving takes time, and only matters where a proxy would be used
    return bool(_variable()) and _leads_here(host)


@lru_cache(maxsize=64)
def _leads_here(host: str) -> bool:
    try:
        return all(map(_is_own, resolved(host)))
    except (OSError, UnicodeError):
        return False


def _is_own(number: Ip) -> bool:
    number = getattr(number, "ipv4_mapped", None) or number
    # the kernel connects to loopback if the unspecified address is given
    return number.is_loopback or number.is_unspecified


def _is_excluded(host: str) -> bool:
    listed = next((text for name in _EXCLUSIONS if (text := os.environ.get(name))), "")
    number = ip(host)
    return any(_covers(entry.strip(), host, number) for entry in listed.split(",") if entry.strip())


def _covers(entry: str, host: str, number: Ip | None) -> bool:
    if number is not None and "/" in entry:
        try:
            return number in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    return host.lower().endswith(entry.lower())


def _without_secrets(url: str) -> str:
    scheme, mark, rest = url.rpartition("://")
    return scheme + mark + rest.rpartition("@")[2].partition("/")[0]
