"""Where a client gets its settings: argument, then environment, then default; each value remembers which.

The only module of the client that reads the environment.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .errors import InvalidParameterError
from .rules import check_http_endpoint

DEFAULT_ENDPOINT: Final = "localhost:9000"
DEFAULT_TIMEOUT: Final = 30.0
"""Seconds that a call has if nobody says otherwise."""
DEFAULT_PORT: Final = 9000

_FLAGS: Final = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Everything a client is told; refuses to show or pickle secrets."""

    endpoints: tuple[str, ...]
    """``host:port`` of each server, each once; calls go to the first until it cannot be reached."""
    endpoint_origin: str
    """Where `endpoints` came from, for error messages."""
    access_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    use_ssl: bool
    ca_file: Path | None = None
    """Authorities to trust instead of the usual ones."""
    cert_file: Path | None = None
    """What this client shows to a server that asks for a certificate."""
    key_file: Path | None = None
    http_endpoint: str | None = None
    """Where presigned URLs lead; None: the server knows."""
    timeout: float
    """Seconds a call without a body may take, all attempts together."""
    patient: bool = False
    """Whether that was given: then a server that is not there yet is waited for as long."""
    idle_timeout: float
    """Seconds a transfer may stand still; a transfer has no limit in total."""

    @property
    def endpoint(self) -> str:
        """All endpoints as one text, as `resolve` takes it."""
        return ",".join(self.endpoints)

    def address(self, endpoint: str) -> str:
        """Return one of the endpoints and where it came from, as error messages show it."""
        return f"{endpoint} (from {self.endpoint_origin})"

    @classmethod
    def resolve(
        cls,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        use_ssl: bool = False,
        *,
        ca_file: str | os.PathLike[str] | None = None,
        cert_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
        http_endpoint: str | None = None,
        timeout: float | None = None,
        idle_timeout: float = 60.0,
    ) -> ClientOptions:
        """Fill in what is not given from the environment and the defaults.

        Raises:
            InvalidParameterError: The endpoint is no ``host:port`` nor several with commas between them, or one is
                named twice, `http_endpoint` is no URL, only one of the keys is given, or files of TLS are given
                without TLS or without each other.
        """
        chosen, origin = _endpoint(endpoint)
        access = access_key or os.environ.get("STORAGE_ACCESS_KEY") or None
        secret = secret_key or os.environ.get("STORAGE_SECRET_KEY") or None
        if (access is None) != (secret is None):
            raise InvalidParameterError(
                "an access key and a secret key go together; "
                "pass both, or set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY"
            )
        endpoints = _checked_endpoints(chosen, origin)
        ssl = bool(use_ssl) or _flag("STORAGE_USE_SSL")
        if not ssl and (ca_file or cert_file or key_file):
            raise InvalidParameterError("files of TLS are given, but TLS is not asked for; pass use_ssl=True as well")
        return cls(
            endpoints=endpoints,
            endpoint_origin=origin,
            access_key=access,
            secret_key=secret,
            use_ssl=ssl,
            **_tls_files(ca_file, cert_file, key_file),
            http_endpoint=_http_endpoint(http_endpoint),
            timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
            patient=timeout is not None,
            idle_timeout=idle_timeout,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("client options may hold a secret and are not pickled; pickle the client, which leaves it out")


def upload_journals() -> Path | None:
    """Return the folder where uploads remember what they were at; None if the user has no place for state."""
    base = os.environ.get("XDG_STATE_HOME") or _state_home()
    return Path(base, "lucas-storage", "uploads") if os.path.isabs(base) else None  # noqa: PTH117  # no Path yet


def _state_home() -> str:
    if os.environ.get("HOME") == "":  # says as little as one that is missing; expanding it gives the root directory
        return ""
    return os.path.expanduser("~/.local/state")  # noqa: PTH111  # never raises


def _endpoint(argument: str | None) -> tuple[str, str]:
    if argument is not None:
        return argument, "the endpoint argument"
    from_environment = os.environ.get("STORAGE_ENDPOINT")
    if from_environment:
        return from_environment, "STORAGE_ENDPOINT"
    return DEFAULT_ENDPOINT, "the built-in default"


def _http_endpoint(argument: str | None) -> str | None:
    if argument is not None:
        return check_http_endpoint(argument, "the http_endpoint argument")
    from_environment = os.environ.get("STORAGE_HTTP_ENDPOINT")
    return check_http_endpoint(from_environment, "STORAGE_HTTP_ENDPOINT") if from_environment else None


def _tls_files(
    ca_file: str | os.PathLike[str] | None,
    cert_file: str | os.PathLike[str] | None,
    key_file: str | os.PathLike[str] | None,
) -> dict[str, Path | None]:
    given = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
    paths = {name: path or os.environ.get(f"STORAGE_{name.upper()}") for name, path in given.items()}
    if bool(paths["cert_file"]) != bool(paths["key_file"]):
        raise InvalidParameterError(
            "a client certificate and its key go together; "
            "pass cert_file= and key_file=, or set STORAGE_CERT_FILE and STORAGE_KEY_FILE"
        )
    return {name: Path(path) if path else None for name, path in paths.items()}


def _flag(name: str) -> bool:
    text = os.environ.get(name, "").lower()
    if text not in _FLAGS:
        raise InvalidParameterError(f"{name} is {text!r}; set it to 1 or 0")
    return _FLAGS[text]


def _checked_endpoints(text: object, origin: str) -> tuple[str, ...]:
    names = text.split(",") if isinstance(text, str) else [text]
    endpoints = tuple(_checked_endpoint(name, f"{text!r} (from {origin})") for name in names)
    if len({endpoint.lower() for endpoint in endpoints}) < len(endpoints):
        raise InvalidParameterError(f"{text!r} (from {origin}) names a server twice; give each endpoint once")
    return endpoints


def _checked_endpoint(endpoint: object, where: str) -> str:
    shown = where if where.startswith(f"{endpoint!r} ") else f"{endpoint!r} in {where}"
    wrong = InvalidParameterError(
        f"{shown} is not an endpoint; give 'host:port' such as 'localhost:{DEFAULT_PORT}', an IPv6 address in "
        f"brackets, and several as 'a:{DEFAULT_PORT},b:{DEFAULT_PORT}' without spaces"
    )
    if not isinstance(endpoint, str) or "/" in endpoint or any(c.isspace() for c in endpoint):
        raise wrong
    host, port = _split(endpoint)
    if not _is_host(host) or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise wrong
    return f"{host}:{port}"


def _split(endpoint: str) -> tuple[str, str]:
    if endpoint.startswith("["):
        host, bracket, rest = endpoint.partition("]")
        colon, port = rest[:1], rest[1:]
        return host + bracket, port if colon == ":" else "" if rest else str(DEFAULT_PORT)
    host, colon, port = endpoint.partition(":")
    return host, port if colon else str(DEFAULT_PORT)


def _is_host(text: str) -> bool:
    if not text.startswith("["):
        return bool(text)
    inside, bracket, _ = text[1:].partition("]")
    try:
        ipaddress.IPv6Address(inside)
    except ValueError:
        return False
    return bool(bracket)
