"""Costs of the plugin for a step: a call that stores nothing, a cached array, and the import of a shipped function."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import timeit

import numpy as np

from lucas_storage import storage_context, with_storage
from lucas_storage.storage import storage_for

from .harness import MiB, Row, seconds, storage_server

CALLS = 2000
IMPORT = "import time; t = time.perf_counter(); import lucas_storage._shim; print(time.perf_counter() - t)"


def measure():
    yield _overhead()
    with (
        storage_server() as server,
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=server.endpoint, cache_dir=cache),
    ):
        yield _cached_array()
    yield _arrival()


def _overhead():
    def plain(n: int) -> dict:
        return {"n": n}

    decorated = with_storage(plain)
    rates = [min(timeit.repeat(lambda fn=fn: fn(n=1), number=CALLS, repeat=5)) / CALLS for fn in (plain, decorated)]
    extra = rates[1] - rates[0]
    return Row(
        "a call of a decorated function, nothing to store",
        f"{extra * 1e6:.0f} µs extra",
        f"{rates[0] * 1e6:.2f} µs undecorated",
        "",
        "≤ 50 µs",
        extra <= 50e-6,
    )


def _cached_array():
    storage = storage_for("default")
    ref = storage.put(np.arange(16 * MiB, dtype=np.int64))

    @with_storage
    def first(array: np.ndarray) -> float:
        return float(array[0])

    arguments = {"array": ref.to_json()}
    cold = seconds(lambda: first(**arguments))
    warm = statistics.median(seconds(lambda: first(**arguments)) for _ in range(20))
    return Row(
        "cached array of 128 MiB to its first element in a step",
        f"{warm * 1000:.2f} ms",
        f"{cold * 1000:.0f} ms not cached",
        f"{warm / cold:.4f}",
        "≤ 1.5 ms",
        warm <= 1.5e-3,
    )


def _arrival():
    samples = []
    for _ in range(5):
        run = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        samples.append(float(run.stdout))
    median = statistics.median(samples)
    return Row("import of the shim in a worker", f"{median * 1000:.0f} ms", "", "", "≤ 30 ms", median <= 0.030)
