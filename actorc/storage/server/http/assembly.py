"""Makes the plane of a server: where it listens, under which names, and what it needs."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from actorc.storage.addresses import Address
from actorc.storage.rules import check_http_endpoint
from actorc.storage.server.auth.authentication import Keyring
from actorc.storage.server.auth.presigning import PresignedUrls
from actorc.storage.server.config import ServerOptions, numeric_address
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.server.telemetry.access_log import Journal
from actorc.storage.server.telemetry.calls_in_flight import Gate

from .handler import Front
from .pages import Pages
from .server import HttpPlane, bound

log = logging.getLogger(__name__)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - what is not an address that anybody could use


class Served(NamedTuple):
    """What the plane serves."""

    store: ObjectStore
    urls: PresignedUrls
    keyring: Keyring
    journal: Journal
    is_ready: Callable[[], bool]
    gate: Gate
    damaged: Callable[[], int]


def open_plane(address: str, options: ServerOptions, served: Served, *, shared: bool = False) -> tuple[HttpPlane, str]:
    """Return a plane that listens and only has to be started, and the URL of where it is reached, if that is known.

    Args:
        address: ``HOST:PORT``.
        options: How the server runs.
        served: What it serves.
        shared: Whether other processes of the server listen there as well.

    Raises:
        InvalidParameterError: The port is taken or not allowed.
    """
    listening = bound(numeric_address(address, loopback_only=served.keyring.is_open), shared=shared)
    own = Address(*listening.getsockname()[:2])
    scheme = "http" if options.tls_cert is None else "https"
    public = options.public_http_url and check_http_endpoint(options.public_http_url, "--public-http-url")
    names = _names(f"{scheme}://{own}", f"{scheme}://localhost:{own.port}", public)
    front = Front(
        served.store,
        served.urls,
        _pages(options, served),
        served.journal,
        served.gate,
        is_misdirected=lambda name: served.keyring.is_open and name.lower() not in names,
        is_foreign=lambda name: name.lower() not in names,
        threads=options.threads,
        idle_timeout=options.idle_timeout,
    )
    reachable = public or ("" if own.host in _EVERYWHERE else f"{scheme}://{own}")
    return HttpPlane(listening, _tls(options), front), reachable


def _names(*urls: str) -> frozenset[str]:
    """Return what a ``Host`` header may say: the place in each URL, and the host alone where the port goes unsaid."""
    names = set()
    for url in filter(None, urls):
        parts = urlsplit(url.lower())
        default = f":{_DEFAULT_PORTS[parts.scheme]}"
        names |= {parts.netloc, parts.netloc.removesuffix(default)}
    return frozenset(names)


def _pages(options: ServerOptions, served: Served) -> Pages:
    try:
        from actorc.storage.server.telemetry.metrics import CONTENT_TYPE, Metrics  # noqa: PLC0415 - its library may be missing
    except ModuleNotFoundError:
        log.info("prometheus-client is not installed, so there is no /metrics; pip install 'lucas-storage[http]'")
        return Pages(served.is_ready)
    return Pages(
        served.is_ready, Metrics(served.journal, served.is_ready, options.data, served.damaged).page, CONTENT_TYPE
    )


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
