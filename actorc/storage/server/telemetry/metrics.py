"""Prometheus metrics. The only module that imports the library, which may be missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from .access_log import AccessLog, EndedCall

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_OUTGOING: Final = frozenset({"GetObject", "ReadObject", "GET"})


class Metrics:
    """Metrics of one server, in a registry of their own.

    Args:
        access_log: Provides the ended calls.
        is_healthy: Returns whether the engine accepts changes.
        data: Data directory of the engine, if it has one.
        damaged: Returns how often the scrubber found damage.
    """

    def __init__(
        self, access_log: AccessLog, is_healthy: Callable[[], bool], data: Path | None, damaged: Callable[[], int]
    ) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._calls = Counter("storage_calls", "Calls that are over", ["method", "status"], registry=self._registry)
        self._seconds = Histogram(
            "storage_call_seconds", "How long calls took", ["method"], buckets=_SECONDS, registry=self._registry
        )
        self._bytes = Counter(
            "storage_object_bytes", "Bytes of objects that went in or out", ["direction"], registry=self._registry
        )
        self._gauge("storage_transfers", "Uploads and downloads under way", lambda: access_log.transfers)
        self._gauge("storage_engine_healthy", "1 if the engine accepts changes, else 0", is_healthy)
        self._gauge("storage_damage_found", "How often verifying what is stored found damage", damaged)
        if data is not None:
            self._gauge("storage_disk_free_bytes", "Room on the disk of the data directory", lambda: _free(data))
        access_log.listeners.append(self._count)

    def page(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        Gauge(name, meaning, registry=self._registry).set_function(value)

    def _count(self, ended: EndedCall) -> None:
        self._calls.labels(ended.method, ended.status).inc()
        self._seconds.labels(ended.method).observe(ended.seconds)
        self._bytes.labels("out" if ended.method in _OUTGOING else "in").inc(ended.size)


def _free(data: Path) -> int:
    status = os.statvfs(data)
    return status.f_bavail * status.f_frsize
