"""Pages about the server: what it is, liveness, readiness and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from .root_page import ROOT_HEADERS, ROOT_PAGE


class Page(NamedTuple):
    """A short response."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    """Further headers."""


class Pages:
    """The root, ``/healthz``, ``/readyz`` and ``/metrics``.

    Args:
        is_ready: Returns whether the server takes requests and can perform them, changes included.
        metrics: Returns the page of metrics; None if its library is missing.
        metrics_type: Content type of that page.

    Attributes:
        metrics: The same.
    """

    def __init__(
        self, is_ready: Callable[[], bool], metrics: Callable[[], bytes] | None = None, metrics_type: str = ""
    ) -> None:
        self._is_ready = is_ready
        self.metrics = metrics
        self._metrics_type = metrics_type

    def find(self, method: str, path: str) -> Page | None:
        """Return the page at `path`, or None."""
        if path == "/" and method in {"GET", "HEAD"}:
            return Page(200, "text/html; charset=utf-8", ROOT_PAGE, ROOT_HEADERS)
        if path == "/healthz":
            return _text(200, "running")
        if path == "/readyz":
            return _text(200, "ready") if self._is_ready() else _text(503, "not ready")
        return self._metrics_page() if path == "/metrics" else None

    def _metrics_page(self) -> Page:
        if self.metrics is None:
            return _text(501, "prometheus-client is not installed; pip install 'lucas-storage[http]'")
        return Page(200, self._metrics_type, self.metrics())


def _text(status: int, text: str) -> Page:
    return Page(status, "text/plain; charset=utf-8", text.encode() + b"\n")
