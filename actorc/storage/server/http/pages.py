"""Pages about the server: whether it runs, whether to send it requests, and its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Page(NamedTuple):
    """A small answer."""

    status: int
    content_type: str
    body: bytes


class Pages:
    """``/healthz``, ``/readyz`` and ``/metrics``.

    Args:
        is_ready: Tells whether the server takes requests and can carry them out, changes included.
        metrics: Makes the page of numbers; None where the library for it is missing.
        metrics_type: Its content type.
    """

    def __init__(
        self, is_ready: Callable[[], bool], metrics: Callable[[], bytes] | None = None, metrics_type: str = ""
    ) -> None:
        self._is_ready = is_ready
        self._metrics = metrics
        self._metrics_type = metrics_type

    def find(self, path: str) -> Page | None:
        """Return the page at `path`, if there is one."""
        if path == "/healthz":
            return _text(200, "running")
        if path == "/readyz":
            return _text(200, "ready") if self._is_ready() else _text(503, "not ready")
        return self._numbers() if path == "/metrics" else None

    def _numbers(self) -> Page:
        if self._metrics is None:
            return _text(501, "prometheus-client is not installed; pip install 'lucas-storage[http]'")
        return Page(200, self._metrics_type, self._metrics())


def _text(status: int, text: str) -> Page:
    return Page(status, "text/plain; charset=utf-8", text.encode() + b"\n")
