"""What the plugin costs a step: a call that stores nothing, a result found again, a cached array, a cold one."""

from __future__ import annotations

import hashlib
import os
import tempfile

import numpy as np

from benchmarks.cases import Arm, Case, Time, Within, size_text
from benchmarks.services import transport_of
from lucas_storage import Storage, storage_context, with_storage

LOADED = "np.load and SHA-256"


def plain(n: int) -> dict:
    return {"n": n}


decorated = with_storage(plain)


@with_storage(cache=True)
def known(n: int) -> dict:
    return {"n": n}


@with_storage
def first(array: np.ndarray) -> int:
    return int(array[0])


@with_storage
def total(array: np.ndarray) -> int:
    return int(array[:: 4096 // 8].sum())


def cases(setting):
    with (
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=setting.server.endpoint, cache_dir=cache),
        Storage() as storage,
    ):
        ours = {"pids": setting.server.pids, "transport": transport_of(storage)}
        scale = setting.scale
        arms = [
            Arm("decorated", lambda number: decorated(n=number), target=Within(50e-6)),
            Arm("plain", lambda number: plain(n=number)),
        ]
        yield Case("a step that stores nothing", arms, calls=20 * scale.calls, rounds=scale.rounds)
        found = Arm("a decorated function, cache=True", lambda _: known(n=1), target=Within(0.002), **ours)
        yield Case("result found again", [found], calls=scale.calls, rounds=scale.rounds)
        yield from _arrays(setting, storage, ours)


def _arrays(setting, storage, ours):
    size, rounds = setting.scale.array, setting.scale.rounds
    array = np.random.default_rng(1).integers(0, 1 << 62, size // 8, np.int64)
    refs = []
    for number in range(rounds + 2):  # equal bytes would be stored once, and be there already
        array[0] = number
        refs.append(storage.put(array).to_json())
    path = setting.folder / "array.npy"
    np.save(path, array)
    os.sync()
    cold = Arm("a step that takes it", lambda number: total(array=refs[number]), target=Time(1.3, (LOADED,)), **ours)
    yield Case(f"array of {size_text(size)}, cold", [cold, Arm(LOADED, lambda _: _loaded(path))], rounds=rounds)
    warm = Arm("a step that takes it", lambda _: first(array=refs[0]), target=Within(0.0015), **ours)
    mapped = Arm("np.load(mmap_mode='r')", lambda _: np.load(path, mmap_mode="r")[0])
    yield Case(f"array of {size_text(size)}, cached, first element", [warm, mapped], calls=20, rounds=rounds)


def _loaded(path):
    """Load an array as a careful program does, which looks at its digest first."""
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return int(np.load(path)[:: 4096 // 8].sum())
