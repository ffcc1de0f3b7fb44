"""The options of a client, from its settings; each remembers its origin.

A client without an endpoint uses the server of the nearest ``.lucas-storage``, if one runs there, with its keys. These
keys are used for no other endpoint.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from actorc.addresses import Address, ip, parse

from .client_settings import Keys, ToldSettings
from .errors import InvalidParameterError
from .local_server import local_endpoint, nearest_directory
from .local_server.held_ports import hold_loopback
from .local_server.local_endpoint import LocalEndpoint
from .rules import check_http_endpoint
from .setting_types import timeout as timeout_of

DEFAULT_ENDPOINT: Final = "localhost:9000"
DEFAULT_TIMEOUT: Final = 30.0
"""Seconds that a call may take if nothing else is given."""
DEFAULT_PORT: Final = 9000
NO_KEYS: Final = "nowhere"
_GIVEN: Final = "the arguments"
_ARGUMENTS: Final = frozenset({"the access_key argument", "the secret_key argument"})


class OriginatedEndpoint(str):
    """An endpoint, and the origin that error messages name, also those of a client that it is handed on to.

    Args:
        endpoint: As `ClientOptions.resolve` takes it.
        origin: Its origin, such as the path of a file.
    """

    __slots__ = ("origin",)

    origin: str

    def __new__(cls, endpoint: str, origin: str) -> Self:
        """Return `endpoint`, with `origin` beside it."""
        made = super().__new__(cls, endpoint)
        made.origin = origin
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)  # where it came from is of no meaning to another process


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """All settings of a client. Its secrets are neither shown nor pickled."""

    endpoints: tuple[str, ...]
    """``host:port`` of each server, without duplicates; calls go to the first until it cannot be reached."""
    endpoint_origin: str
    """Origin of `endpoints`, for error messages."""
    access_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    key_origin: str = NO_KEYS
    """Origin of both keys, for error messages."""
    use_ssl: bool
    ca_file: Path | None = None
    """Authorities to trust instead of the usual ones."""
    cert_file: Path | None = None
    """Certificate for a server that asks for one."""
    key_file: Path | None = None
    http_endpoint: str | None = None
    """Base of presigned URLs; None: the server knows it."""
    timeout: float
    """Seconds that a call without a body may take, all attempts together."""
    patient: bool = False
    """Whether `timeout` was given: then a server that is not there yet is waited for as long."""
    idle_timeout: float
    """Seconds that a transfer may make no progress; its total time has no limit."""
    local: bool = True
    """Whether a server of this user on this machine may be reached over its Unix socket."""

    @property
    def endpoint(self) -> OriginatedEndpoint:
        """All endpoints as one text, as `resolve` takes it."""
        return OriginatedEndpoint(",".join(self.endpoints), self.endpoint_origin)

    @property
    def found_key_origin(self) -> str:
        """Origin of the keys if they were found; empty if they are arguments, or there are none."""
        return "" if self.key_origin in {NO_KEYS, _GIVEN} else self.key_origin

    def address(self, endpoint: str) -> str:
        """Return one of the endpoints with its origin, for error messages."""
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
        local: bool | None = None,
        profile: str | None = None,
    ) -> ClientOptions:
        """Return the settings, with values from the environment, the file and the defaults where none is given.

        Raises:
            InvalidParameterError: The endpoint is no ``host:port`` nor several with commas between them, or one is
                named twice, `http_endpoint` is no URL, a timeout is no number of seconds above 0, only one of the keys
                is given, files of TLS are given without TLS or without each other, there is no such profile, the
                ``.lucas-storage`` here is not this user's alone, or it has no server and the port of the default
                endpoint may be another user's.
        """
        told = ToldSettings(profile)
        given = told.setting("endpoint", endpoint)
        origin = getattr(given.value, "origin", given.origin)
        endpoints = () if given.value is None else _checked_endpoints(given.value, origin)
        server = local_server(endpoints)
        if not endpoints:
            found, origin = (server.endpoint, server.origin) if server else (DEFAULT_ENDPOINT, _default_origin())
            endpoints = (found,)
        keys = told.keys(access_key, secret_key, endpoints)
        access, secret, key_origin = _keys(keys, server, is_named=given.value is not None)
        ssl = bool(told.setting("use_ssl", use_ssl).value) or (server is not None and server.use_ssl)
        files = _tls_files(told, ca_file=ca_file, cert_file=cert_file, key_file=key_file)
        if not ssl and (ca_file or cert_file or key_file):
            raise InvalidParameterError("files of TLS are given, but TLS is not asked for; pass use_ssl=True as well")
        http = told.setting("http_endpoint", http_endpoint)
        return cls(
            endpoints=endpoints,
            endpoint_origin=origin,
            access_key=access,
            secret_key=secret,
            key_origin=key_origin,
            use_ssl=ssl,
            **files,
            http_endpoint=http.value and check_http_endpoint(http.value, http.origin),
            timeout=DEFAULT_TIMEOUT if timeout is None else _seconds("timeout", timeout),
            patient=timeout is not None,
            idle_timeout=_seconds("idle_timeout", idle_timeout),
            local=told.setting("local", local).value is not False,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("client options may hold a secret and are not pickled; pickle the client, which leaves it out")


def _seconds(name: str, given: object) -> float:
    try:
        return timeout_of(given)
    except ValueError as error:
        raise InvalidParameterError(f"{name} is {error}, not {given!r}") from error


def upload_journals() -> Path | None:
    """Return the directory of upload journals; None if the user has no directory for state."""
    base = os.environ.get("XDG_STATE_HOME") or _state_home()
    return Path(base, "lucas-storage", "uploads") if os.path.isabs(base) else None  # noqa: PTH117  # no Path yet


def _state_home() -> str:
    if os.environ.get("HOME") == "":  # as good as missing; expanding it would give the root directory
        return ""
    return os.path.expanduser("~/.local/state")  # noqa: PTH111  # never raises


def _default_origin() -> str:
    """Return the origin of the default endpoint, for error messages.

    A user with a ``.lucas-storage`` means its server. So until this process ends, no other user gets the port that is
    taken for that server's.

    Raises:
        InvalidParameterError: That port may be another user's already.
    """
    directory = nearest_directory.find_directory()
    if directory is None:
        return "the built-in default"
    if not hold_loopback(DEFAULT_PORT):
        raise InvalidParameterError(
            f"no server runs for {directory}, and whoever listens on {DEFAULT_ENDPOINT} may be another user; call "
            "lucas_storage.local() first, or start the program with 'lucas-storage run', or a server with "
            f"'lucas-storage serve', or set STORAGE_ENDPOINT, to {DEFAULT_ENDPOINT} if you mean that server"
        )
    return f"the built-in default, since no server runs for {directory}"


def local_server(named: Sequence[str]) -> LocalEndpoint | None:
    """Return the server of this directory if it is the one in `named`, or `named` is empty; None: there is none.

    Raises:
        InvalidParameterError: `named` is empty, and the ``.lucas-storage`` here is not this user's alone.
    """
    if not named:
        return local_endpoint.find()
    try:
        (address,) = (parse(endpoint, DEFAULT_PORT) for endpoint in named)
    except ValueError:  # several, or none at all
        return None
    # servers publish numbers, so no other name but localhost can be theirs
    if ip(address.host) is None and address.host != "localhost":
        return None
    found = local_endpoint.find(is_needed=False)
    return found if found is not None and _is_the_same(address, found.endpoint) else None


def _is_the_same(named: Address, found: str) -> bool:
    return str(named) == found or (named.host == "localhost" and local_endpoint.is_localhost(found, named.port))


def _keys(told: Keys, local: LocalEndpoint | None, *, is_named: bool) -> tuple[str | None, str | None, str]:
    """Return the keys of a client, and their origin.

    A caller that names no endpoint gets the keys of the one that is found, whatever other places have for others.
    """
    access, secret = told.access.value, told.secret.value
    is_told = access is not None or secret is not None
    if local and local.access_key and not (told.are_arguments or (is_named and is_told)):
        return local.access_key, local.secret_key, local.origin
    if (access is None) != (secret is None):
        raise InvalidParameterError(
            "an access key and a secret key go together; pass both, or set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY"
        )
    is_argument = {told.access.origin, told.secret.origin} & _ARGUMENTS
    return access, secret, _GIVEN if is_argument else NO_KEYS if access is None else told.access.origin


def _tls_files(told: ToldSettings, **given: str | os.PathLike[str] | None) -> dict[str, Path | None]:
    paths = {name: told.setting(name, path).value for name, path in given.items()}
    if bool(paths["cert_file"]) != bool(paths["key_file"]):
        raise InvalidParameterError(
            "a client certificate and its key go together; "
            "pass cert_file= and key_file=, or set STORAGE_CERT_FILE and STORAGE_KEY_FILE"
        )
    return paths


def _checked_endpoints(text: object, origin: str) -> tuple[str, ...]:
    names = text.split(",") if isinstance(text, str) else [text]
    endpoints = tuple(_checked_endpoint(name, f"{text!r} (from {origin})") for name in names)
    if len({endpoint.lower() for endpoint in endpoints}) < len(endpoints):
        raise InvalidParameterError(f"{text!r} (from {origin}) names a server twice; give each endpoint once")
    return endpoints


def _checked_endpoint(endpoint: object, where: str) -> str:
    try:
        return str(parse(endpoint, DEFAULT_PORT))
    except ValueError:
        shown = where if where.startswith(f"{endpoint!r} ") else f"{endpoint!r} in {where}"
        raise InvalidParameterError(
            f"{shown} is not an endpoint; give 'host:port' such as 'localhost:{DEFAULT_PORT}', an IPv6 address in "
            f"brackets, and several as 'a:{DEFAULT_PORT},b:{DEFAULT_PORT}' without spaces"
        ) from None
