"""Reads what the first page shows."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final

from lucas_storage.records import run_history
from lucas_storage.ui.pages.overview import Disk, Overview, overview_page
from lucas_storage.ui.pages.page import Page

from .request import Request
from .server_metrics import sample_of, traffic

_RUNS: Final = 8


def overview(request: Request) -> Page:
    """Return the first page."""
    began = time.perf_counter()
    info = request.storage.server_info()
    milliseconds = (time.perf_counter() - began) * 1000
    sample, before = sample_of(info["http_endpoint"]), request.memory.sample
    request.memory.sample = sample
    found = Overview(
        endpoint=request.storage.endpoint,
        milliseconds=milliseconds,
        info=info,
        bucket=request.storage.bucket,
        traffic=traffic(sample, before),
        disk=_disk(request.data),
        runs=run_history.recent(request.storage, _RUNS),
    )
    return overview_page(found, request.reader)


def _disk(data: Path | None) -> Disk | None:
    if data is None:
        return None
    try:
        usage = shutil.disk_usage(data)
    except OSError:  # removed meanwhile
        return None
    return Disk(free=usage.free, total=usage.total)
