"""Where a client gets its settings: argument, then environment, then default; each value remembers which.

The only module of the client that reads the environment.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from .errors import InvalidParameterError

DEFAULT_ENDPOINT: Final = "localhost:9000"
DEFAULT_PORT: Final = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Everything a client is told; refuses to show or pickle secrets."""

    endpoint: str
    """``host:port``."""
    endpoint_origin: str
    """Where `endpoint` came from, for error messages."""
    access_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    use_ssl: bool
    timeout: float
    """Seconds a call without a body may take, all attempts together."""
    idle_timeout: float
    """Seconds a transfer may stand still; a transfer has no limit in total."""

    @property
    def address(self) -> str:
        """The endpoint and where it came from, as error messages show it."""
        return f"{self.endpoint} (from {self.endpoint_origin})"

    @classmethod
    def resolve(
        cls,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        use_ssl: bool = False,
        *,
        timeout: float = 30.0,
        idle_timeout: float = 60.0,
    ) -> ClientOptions:
        """Fill in what is not given from the environment and the defaults.

        Raises:
            InvalidParameterError: The endpoint is no ``host:port``, or only one of the keys is given.
        """
        chosen, origin = _endpoint(endpoint)
        access = access_key or os.environ.get("STORAGE_ACCESS_KEY") or None
        secret = secret_key or os.environ.get("STORAGE_SECRET_KEY") or None
        if (access is None) != (secret is None):
            raise InvalidParameterError(
                "an access key and a secret key go together; "
                "pass both, or set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY"
            )
        address = _checked_endpoint(chosen, origin)
        return cls(
            endpoint=address,
            endpoint_origin=origin,
            access_key=access,
            secret_key=secret,
            use_ssl=bool(use_ssl),
            timeout=timeout,
            idle_timeout=idle_timeout,
        )


def _endpoint(argument: str | None) -> tuple[str, str]:
    if argument is not None:
        return argument, "the endpoint argument"
    from_environment = os.environ.get("STORAGE_ENDPOINT")
    if from_environment:
        return from_environment, "STORAGE_ENDPOINT"
    return DEFAULT_ENDPOINT, "the built-in default"


def _checked_endpoint(endpoint: object, origin: str) -> str:
    wrong = InvalidParameterError(
        f"{endpoint!r} (from {origin}) is not an endpoint; give 'host:port' such as 'localhost:{DEFAULT_PORT}'"
    )
    if not isinstance(endpoint, str) or "/" in endpoint or any(c.isspace() for c in endpoint):
        raise wrong
    host, port = _split(endpoint)
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise wrong
    return f"{host}:{port}"


def _split(endpoint: str) -> tuple[str, str]:
    if endpoint.startswith("["):
        host, bracket, rest = endpoint.partition("]")
        return host + bracket, rest.removeprefix(":") or str(DEFAULT_PORT)
    host, colon, port = endpoint.partition(":")
    return host, port if colon else str(DEFAULT_PORT)
