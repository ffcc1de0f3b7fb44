"""Prometheus metrics: of calls, as each worker counts them, and of the store (`store_metrics`).

Only these two modules import the library, which may be missing.

Workers of one server keep their numbers in files of one directory, which the library maps into memory: each process
writes its own and reads those of all. A worker that ends leaves its counters there, so that no sum ever falls.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from .access_log import AccessLog
from .ended_call import EndedCall
from .store_metrics import StoreCollector
from .watched import WatchedServer

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_REFRESH_SECONDS: Final = 1.0
"""Seconds between two updates of the gauges that other workers read."""
_MEMORY: Final = Path("/proc/self/statm")
"""Pages of memory of this process, on Linux."""
_READS: Final = frozenset({"GetObject", "GetObjects", "GetRanges", "ReadObject"})
_OUTGOING: Final = _READS | {"GET"}
_BATCHES: Final = ("DeleteObjects", "GetObjects", "HeadObjects", "PutObjects")


class Metrics:
    """Metrics of one server, all of its workers together, in a registry of their own. Any thread may call it.

    Args:
        access_log: Provides the ended calls.
        watched: Provides all else; the library knows its `shared` from ``PROMETHEUS_MULTIPROC_DIR``.
    """

    def __init__(self, access_log: AccessLog, watched: WatchedServer) -> None:
        self._registry = CollectorRegistry()
        self._shared = shared = watched.shared
        self._store = StoreCollector(watched)
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []
        if shared is None:
            ProcessCollector(registry=self._registry)
            self._registry.register(self._store)
        self._calls = Counter("storage_calls", "Calls that are over", ["method", "status"], registry=self._registry)
        for method in _READS:
            # told before the first, which else would be no increase to those who watch it
            self._calls.labels(method, "DATA_LOSS")
        self._seconds = Histogram(
            "storage_call_seconds", "How long calls took", ["method"], buckets=_SECONDS, registry=self._registry
        )
        self._bytes = Counter(
            "storage_object_bytes", "Bytes of objects that went in or out", ["direction"], registry=self._registry
        )
        # counted for these calls alone, so that others cost no more
        self._objects = Counter(
            "storage_batch_objects", "Objects that batches asked for or sent", ["method"], registry=self._registry
        )
        for method in _BATCHES:
            self._objects.labels(method)
        self._watch(access_log, watched)
        access_log.listeners.append(self._count)
        if shared is not None:
            # daemon: it ends with the worker
            threading.Thread(target=self._refresh_at_times, name="metrics", daemon=True).start()

    def _watch(self, access_log: AccessLog, watched: WatchedServer) -> None:
        """Make the gauges: numbers that are looked up for each page, and of other workers every second."""
        self._gauge("storage_transfers", "Uploads and downloads under way", lambda: access_log.transfers, "livesum")
        healthy = "1 if the engine accepts changes, else 0"
        self._gauge("storage_engine_healthy", healthy, watched.is_healthy, "livemin")
        self._gauge("storage_calls_running", "Calls that run or wait for a thread", watched.calls, "livesum")
        self._gauge(
            "storage_call_threads", "Calls that can run at the same time", lambda: watched.options.threads, "livesum"
        )
        self._gauge("storage_cpu_seconds", "Processor seconds that the server has used", _cpu_seconds, "sum")
        if _MEMORY.exists():
            self._gauge("storage_resident_memory_bytes", "Memory that the server has now", _memory, "livesum")

    def page(self) -> bytes:
        """Return all metrics in the text format of Prometheus; gauges of other workers may be a second old."""
        self._refresh()
        if self._shared is None:
            return generate_latest(self._registry)
        for pid in _ended(self._shared):
            mark_process_dead(pid, str(self._shared))  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._shared))  # type: ignore[no-untyped-call]
        registry.register(self._store)
        return generate_latest(registry)

    def _gauge(self, name: str, meaning: str, value: Callable[[], float], among_workers: str) -> None:
        gauge = Gauge(name, meaning, registry=self._registry, multiprocess_mode=among_workers)  # type: ignore[arg-type]
        self._gauges.append((gauge, value))

    def _refresh(self) -> None:
        for gauge, value in self._gauges:
            gauge.set(value())

    def _refresh_at_times(self) -> None:
        # never set; its `wait` is a sleep that ends with the daemon thread
        pause = threading.Event()
        while True:
            self._refresh()
            pause.wait(_REFRESH_SECONDS)

    def _count(self, ended: EndedCall) -> None:
        self._calls.labels(ended.method, ended.status).inc()
        self._seconds.labels(ended.method).observe(ended.seconds)
        self._bytes.labels("out" if ended.method in _OUTGOING else "in").inc(ended.size)
        if ended.keys:
            self._objects.labels(ended.method).inc(len(ended.keys))


def _ended(shared: Path) -> Iterator[int]:
    """Yield the workers that have ended and whose gauges are still there."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in shared.glob("gauge_live*.db")}:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):  # the second: another user has a process of this number by now
            yield pid


def _memory() -> int:
    return int(_MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
