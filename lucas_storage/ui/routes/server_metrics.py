"""Metrics of the server, from the page that it has for Prometheus."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass
from typing import Final
from urllib.error import HTTPError, URLError

from prometheus_client.parser import text_string_to_metric_families

from lucas_storage.ui.pages.overview import Traffic

_SECONDS: Final = 2.0
"""That the first page waits for them."""
_BYTES_MAX: Final = 1 << 20
_FAILURES: Final = frozenset(
    {"DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN"}
)
"""Statuses of gRPC; those of HTTP are numbers."""
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxies of the environment: the address is that of the server itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at the metrics."""

    at: float
    """Seconds, of a clock that only goes forward."""
    endpoint: str
    values: dict[tuple[str, str], float]
    """Sums by the name of a metric and one label."""


def sample_of(http_endpoint: str | None) -> Sample | None:
    """Return the metrics of a server; None if it gives none.

    Args:
        http_endpoint: The base of its URLs, as `server_info` tells it.
    """
    if http_endpoint is None or not http_endpoint.startswith(("http://", "https://")):
        return None
    try:
        with _DIRECT.open(f"{http_endpoint.rstrip('/')}/metrics", timeout=_SECONDS) as answer:
            text = answer.read(_BYTES_MAX).decode(errors="replace")
        return Sample(at=time.monotonic(), endpoint=http_endpoint, values=_values(text))
    except HTTPError as refusal:
        refusal.close()  # it holds the connection
        return None
    except (URLError, OSError, ValueError):  # the last one of the parser, for a page of another program
        return None


def traffic(sample: Sample | None, before: Sample | None) -> Traffic | None:
    """Return the numbers of a look at a server, and what happened since another look at the same one."""
    if sample is None:
        return None
    since = None if before is None or before.endpoint != sample.endpoint or before.at >= sample.at else before
    # A server that was started again counts from 0.
    if since is not None and _total(sample, "storage_calls_total") < _total(since, "storage_calls_total"):
        since = None
    free = sample.values.get(("storage_disk_free_bytes", ""))
    return Traffic(
        healthy=sample.values.get(("storage_engine_healthy", ""), 1.0) >= 1.0,
        damage=_whole(sample.values.get(("storage_damage_found", ""), 0.0)),
        free=None if free is None else _whole(free),
        objects=_counted(sample, "storage_bucket_objects"),
        stored=_counted(sample, "storage_bucket_bytes"),
        calls=_whole(_total(sample, "storage_calls_total")),
        failed=_whole(_failed(sample)),
        bytes_in=_bytes(sample, "in"),
        bytes_out=_bytes(sample, "out"),
        seconds=None if since is None else sample.at - since.at,
        calls_since=0
        if since is None
        else _whole(_total(sample, "storage_calls_total") - _total(since, "storage_calls_total")),
        bytes_in_since=0 if since is None else _bytes(sample, "in") - _bytes(since, "in"),
        bytes_out_since=0 if since is None else _bytes(sample, "out") - _bytes(since, "out"),
    )


def _values(text: str) -> dict[tuple[str, str], float]:
    values: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            label = sample.labels.get("status") or sample.labels.get("direction") or ""
            values[sample.name, label] = values.get((sample.name, label), 0.0) + sample.value
    return values


def _is_failure(status: str) -> bool:
    """Return whether a call with this status failed through the server; to ask for what is not there is no failure."""
    return status in _FAILURES or (status.startswith("5") and len(status) == 3)


def _failed(sample: Sample) -> float:
    # of this name alone: the library tells for each status, too, when it came first
    calls = ((status, value) for (name, status), value in sample.values.items() if name == "storage_calls_total")
    return sum(value for status, value in calls if _is_failure(status))


def _total(sample: Sample, name: str) -> float:
    return sum(value for (found, _), value in sample.values.items() if found == name)


def _bytes(sample: Sample, direction: str) -> int:
    return _whole(sample.values.get(("storage_object_bytes_total", direction), 0.0))


def _counted(sample: Sample, name: str) -> int | None:
    """Return the sum over all buckets; None if the engine of the server does not count them."""
    found = sample.values.get((name, ""))
    return None if found is None else _whole(found)


def _whole(value: float) -> int:
    # A page of another program may say infinity.
    return int(value) if abs(value) < 1e18 else 0
