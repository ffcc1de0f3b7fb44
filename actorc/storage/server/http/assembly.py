"""Assembles the HTTP server: its address, its names, and its parts."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from actorc.addresses import Address
from actorc.storage.rules import check_http_endpoint
from actorc.storage.server.auth.access import Principal
from actorc.storage.server.auth.keyring import Keyring
from actorc.storage.server.auth.presigning import PresignedUrls
from actorc.storage.server.config import ServerOptions
from actorc.storage.server.listen_address import numeric_address
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.server.telemetry.access_log import AccessLog
from actorc.storage.server.telemetry.calls_in_flight import CallsInFlight
from actorc.storage.server.telemetry.watched import WatchedServer

from .api_face import Api
from .handler import HttpHandler
from .pages import Pages
from .server import HttpServer, bound

log = logging.getLogger(__name__)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNSPECIFIED = {"0.0.0.0", "::"}  # noqa: S104 - addresses to which nobody can connect


class HttpParts(NamedTuple):
    """The parts of the storage server that HTTP uses."""

    store: ObjectStore
    urls: PresignedUrls
    keyring: Keyring
    confirm: Callable[[Principal], None]
    """Raises if a caller would not be let in any more."""
    access_log: AccessLog
    is_ready: Callable[[], bool]
    in_flight: CallsInFlight
    watched: WatchedServer
    open_api: Callable[[Callable[[str], bool], Callable[[], bytes] | None], Api]
    """Returns the API: whether a host is a name of this server, and the page of metrics, None if there is none."""


def open_http_server(
    address: str, options: ServerOptions, parts: HttpParts, *, shared: bool = False
) -> tuple[HttpServer, str]:
    """Return an HTTP server that is bound but not started, and its base URL, empty if that is not known.

    Args:
        address: ``HOST:PORT`` to listen on.
        options: Options of the server.
        parts: The parts of the storage server.
        shared: Whether other processes of the server listen on the port, too.

    Raises:
        InvalidParameterError: The port is taken or not allowed.
    """
    listening = bound(numeric_address(address, loopback_only=parts.keyring.is_open), shared=shared)
    own = Address(*listening.getsockname()[:2])
    scheme = "http" if options.tls_cert is None else "https"
    public = options.public_http_url and check_http_endpoint(options.public_http_url, "--public-http-url")
    names = _names(f"{scheme}://{own}", f"{scheme}://localhost:{own.port}", public)
    pages = _pages(parts)
    handler = HttpHandler(
        parts.store,
        parts.urls,
        pages,
        parts.open_api(lambda name: name.lower() in names, pages.metrics),
        parts.access_log,
        parts.in_flight,
        is_misdirected=lambda name: parts.keyring.is_open and name.lower() not in names,
        is_foreign=lambda name: name.lower() not in names,
        confirm=parts.confirm,
        threads=options.threads,
        idle_timeout=options.idle_timeout,
    )
    reachable = public or ("" if own.host in _UNSPECIFIED else f"{scheme}://{own}")
    return HttpServer(listening, _tls(options), handler), reachable


def _names(*urls: str) -> frozenset[str]:
    """Return the allowed ``Host`` headers: host and port of the URLs, and the host alone if the port is the default."""
    names = set()
    for url in filter(None, urls):
        parts = urlsplit(url.lower())
        default = f":{_DEFAULT_PORTS[parts.scheme]}"
        names |= {parts.netloc, parts.netloc.removesuffix(default)}
    return frozenset(names)


def _pages(parts: HttpParts) -> Pages:
    try:
        from actorc.storage.server.telemetry.metrics import CONTENT_TYPE, Metrics  # noqa: PLC0415 - its library may be missing
    except ModuleNotFoundError:
        log.info("prometheus-client is not installed, so there is no /metrics; pip install 'lucas-storage[http]'")
        return Pages(parts.is_ready)
    return Pages(parts.is_ready, Metrics(parts.access_log, parts.watched).page, CONTENT_TYPE)


def _tls(options: ServerOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_cert, options.tls_key, password="")
    context.set_alpn_protocols(["http/1.1"])
    if options.tls_client_ca is not None:
        context.load_verify_locations(options.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
