"""One artifact of 16 MiB for one to 64 workers that read all of it: time, and private memory of all of them."""

from __future__ import annotations

import os
import tempfile
import time

import numpy as np

from benchmarks import processes
from benchmarks.baselines.fake_actor import fake_actor
from benchmarks.cases import MiB
from benchmarks.services import environment
from lucas_storage import Storage, storage_context, with_storage

from .charts import Chart

ALONG = (1, 2, 4, 8, 16, 32, 64)
SMALL = (1, 2)
SIZE = 16 * MiB
held = []


def read(x: np.ndarray) -> int:
    """Touch every page, keep the array, and return the private memory of this process in bytes."""
    held[:] = [x]
    x[::4096].sum()
    return processes.memory(os.getpid(), "RssAnon")


FUNCTIONS = {"read": read, "stored_read": with_storage(read)}
TIME = Chart("readers-time", "16 MiB for many workers, one after another", "workers", "s, all together", None)
MEMORY = Chart("readers-memory", "16 MiB for many workers", "workers", "MiB of private memory, all together", None)
CHARTS = (TIME, MEMORY)


def points(setting, along):
    with (
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=setting.server.endpoint, cache_dir=cache),
        environment(STORAGE_ENDPOINT=setting.server.endpoint, LUCAS_STORAGE_CACHE=cache),
        Storage() as storage,
    ):
        for count in along:
            array = np.random.default_rng(count).integers(0, 256, SIZE, np.uint8)
            given = {"ours, references": ("stored_read", storage.put(array).to_json()), "values": ("read", array)}
            for name, (function, value) in given.items():
                seconds, private = _read_by(count, function, value)
                yield TIME.name, name, (count, *[seconds] * 3)
                # a process may give back a page or two meanwhile, and an axis of logarithms has no zero
                yield MEMORY.name, name, (count, *[max(private / MiB, 1)] * 3)


def _read_by(count, function, value):
    """Return the seconds that all take together, and the private memory that they have more than before."""
    with fake_actor(__name__, count) as actor:
        before = [actor.call(function, {"x": np.zeros(1, np.uint8)}) for _ in range(count)]
        began = time.perf_counter()
        after = [actor.call(function, {"x": value}) for _ in range(count)]
        return time.perf_counter() - began, sum(after) - sum(before)
