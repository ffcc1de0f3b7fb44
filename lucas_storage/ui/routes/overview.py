"""Reads what the first page shows."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from actorc.storage.errors import PermissionError, StorageError
from actorc.storage.models import ServerInfoResult
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records import run_history
from lucas_storage.records.past_run import PastRun
from lucas_storage.ui.pages.overview import Disk, Overview, overview_page
from lucas_storage.ui.pages.page import Page

from .request import Request
from .server_metrics import sample_of, traffic

_RUNS: Final = 8
_NOTHING: Final = "no-such-object"


def overview(request: Request) -> Page:
    """Return the first page."""
    began = time.perf_counter()
    info = request.storage.server_info()
    milliseconds = (time.perf_counter() - began) * 1000
    sample, before = sample_of(_http_endpoint(request, info)), request.memory.sample
    request.memory.sample = sample
    found = Overview(
        endpoint=request.storage.endpoint,
        milliseconds=milliseconds,
        info=info,
        bucket=request.storage.bucket,
        traffic=traffic(sample, before),
        disk=_disk(request.data),
        runs=_runs(request.storage),
    )
    return overview_page(found, request.reader)


def _http_endpoint(request: Request, info: ServerInfoResult) -> str | None:
    """Return where the server has its metrics, if that is known, or is on this machine."""
    if info["http_endpoint"] or request.data is None:
        return info["http_endpoint"]
    # A server of one directory opens HTTP when the first URL is asked for; this one leads to nothing, and for a second.
    try:
        url = urlsplit(request.storage.presign_url(request.storage.bucket, _NOTHING, expires=1))
    except StorageError:
        return None
    return f"{url.scheme}://{url.netloc}"


def _runs(storage: ArtifactStore) -> list[PastRun] | None:
    try:
        return run_history.recent(storage, _RUNS)
    except PermissionError:
        return None


def _disk(data: Path | None) -> Disk | None:
    if data is None:
        return None
    try:
        usage = shutil.disk_usage(data)
    except OSError:  # removed meanwhile
        return None
    return Disk(free=usage.free, total=usage.total)
