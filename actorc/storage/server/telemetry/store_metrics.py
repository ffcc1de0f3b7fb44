"""Metrics of the store and of all of the server: read for each page, and the same whichever worker answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actorc.storage.errors import StorageError
from actorc.storage.server.engines.bucket_totals import BucketTotal
from actorc.version import version

from .certificates import end_of_certificate
from .watched import WatchedServer, restarts

_log = logging.getLogger(__name__)

OTHERS: Final = "(others)"
"""Label of the buckets that are not named; no bucket can have this name."""


class StoreCollector(Collector):
    """Collects what is true of the store, and so must not be added up over workers. Any thread may call it."""

    def __init__(self, watched: WatchedServer) -> None:
        self._watched = watched
        # read once: the server goes on with the certificate that it began with
        self._certificate_end = _end_of(watched.options.tls_cert)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; those that cannot be read are left out, so that the others are told of a broken disk."""
        yield self._build()
        restarted = restarts(self._watched.shared)
        yield CounterMetricFamily("storage_worker_restarts", "Workers that ended and were replaced", value=restarted)
        if self._certificate_end is not None:
            meaning = "When the certificate of the server ends"
            yield _gauge("storage_certificate_end_timestamp_seconds", meaning, self._certificate_end)
        # what an engine cannot tell now is left out; the page has the rest
        with suppress(StorageError):
            found = self._watched.engine.damaged
            yield _gauge("storage_damage_found", "How often verifying what is stored found damage", found)
        with suppress(OSError):
            yield from self._disk()
        with suppress(StorageError):
            yield from self._buckets()

    def _build(self) -> Metric:
        family = GaugeMetricFamily("storage_build_info", "Always 1", labels=["version", "engine"])
        family.add_metric([version(), self._watched.engine.name], 1)
        return family

    def _disk(self) -> Iterator[Metric]:
        data = self._watched.options.directory
        if data is not None:
            disk = os.statvfs(data)
            free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
            yield _gauge("storage_disk_free_bytes", "Room on the disk of the data directory", free)
            yield _gauge("storage_disk_size_bytes", "Size of the disk of the data directory", size)

    def _buckets(self) -> Iterator[Metric]:
        totals = self._watched.engine.bucket_totals()
        if totals is None:
            return
        objects = GaugeMetricFamily("storage_bucket_objects", "Objects in a bucket", labels=["bucket"])
        held = GaugeMetricFamily("storage_bucket_bytes", "Bytes of the objects in a bucket", labels=["bucket"])
        for each in largest(totals, self._watched.named_buckets):
            objects.add_metric([each.bucket], each.objects)
            held.add_metric([each.bucket], each.bytes)
        yield from (_gauge("storage_buckets", "Buckets", len(totals)), objects, held)


def largest(totals: Sequence[BucketTotal], count: int) -> list[BucketTotal]:
    """Return the largest `count` buckets, and then all others as one; together they have what all have."""
    ranked = sorted(totals, key=lambda each: (-each.bytes, -each.objects, each.bucket))
    rest = ranked[count:]
    others = BucketTotal(OTHERS, sum(each.objects for each in rest), sum(each.bytes for each in rest))
    return [*ranked[:count], others]


def _end_of(certificate: Path | None) -> float | None:
    """Return when a certificate ends; None if there is none, or none that can be read."""
    if certificate is None:
        return None
    try:
        return end_of_certificate(certificate.read_text())
    except (OSError, ValueError) as error:
        _log.warning("the metrics do not tell when the certificate %s ends: %s", certificate, error)
        return None


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)
