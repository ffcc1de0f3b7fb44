"""Addresses that a server listens on; beyond this machine only with access keys."""

from __future__ import annotations

from actorc.addresses import Address, Ip, parse, resolved
from actorc.storage.errors import InvalidParameterError


def is_loopback(listen: str) -> bool:
    """Return whether ``HOST:PORT`` can be reached from this machine only."""
    return all(found.is_loopback for found in _resolved(_parsed(listen).host))


def numeric_address(listen: str, *, loopback_only: bool) -> Address:
    """Return the numeric address to bind for ``HOST:PORT``, IPv4 if the host has both.

    Raises:
        InvalidParameterError: It is malformed, unknown, or reachable from other machines though that is not allowed.
    """
    host, port = _parsed(listen)
    found = _resolved(host)
    for each in found:
        if loopback_only and not each.is_loopback:
            raise InvalidParameterError(
                f"{listen!r} is reachable from other machines ({each}) and this server knows no access keys; "
                "listen on 127.0.0.1 or localhost, access keys are needed beyond loopback ('lucas-storage keys add')"
            )
    return Address(str(min(found, key=lambda each: each.version)), port)


def _parsed(listen: str) -> Address:
    try:
        return parse(listen, listening=True)
    except ValueError:
        raise InvalidParameterError(
            f"{listen!r} is no address to listen on; use HOST:PORT, such as 127.0.0.1:9000"
        ) from None


def _resolved(host: str) -> list[Ip]:
    try:
        return resolved(host)
    except (OSError, UnicodeError) as error:
        raise InvalidParameterError(f"the host {host!r} is not known here; listen on 127.0.0.1") from error
