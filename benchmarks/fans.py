"""Fan-out and fan-in: memory of one array for many readers, and of many results for one, by values and by references.

Expected: of 64 MiB for each of N readers, values cost N transfers and N copies; references cost one download and no
private memory, so that four readers are at least four times as fast. Of 100 results of 1 MiB, collected by the driver,
values cost it 100 MiB, references less than 20.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import numpy as np

from lucas_storage import Storage, embedded, run, storage_context, with_storage

from .fake_actor import fake_actor, remote
from .harness import MiB, Row, memory, seconds, storage_server

READERS = (1, 4)
SIZE = 64 * MiB
PIECES = 100
held = []


def read(x: np.ndarray) -> int:
    """Touch every page, keep the array, and return the private memory of this process in bytes."""
    held[:] = [x]
    x[::4096].sum()
    return memory(os.getpid(), "RssAnon")


def piece(n: int) -> np.ndarray:
    return np.full(MiB, n, np.uint8)


def joined(pieces: list[np.ndarray]) -> int:
    return sum(map(len, pieces))


FUNCTIONS = {"read": read, "piece": piece, "joined": joined}
FUNCTIONS |= {f"stored_{name}": with_storage(body) for name, body in FUNCTIONS.items()}


def measure():
    with (
        storage_server() as server,
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=server.endpoint, cache_dir=cache),
    ):
        os.environ.update(STORAGE_ENDPOINT=server.endpoint, LUCAS_STORAGE_CACHE=cache)
        for readers in READERS:
            yield from _fan_out(readers)
        values, refs = _driver("values"), _driver("stored")
    yield Row(
        f"fan-in of {PIECES} x 1 MiB, driver",
        f"{refs // MiB} MiB",
        f"{values // MiB} MiB values",
        f"{values / refs:.1f}",
        "< 20 MiB",
        refs < 20 * MiB,
    )


def _fan_out(readers):
    data = np.random.default_rng(readers).integers(0, 256, SIZE, np.uint8)
    ref = Storage().put(data).to_json()
    private, took = {}, {}
    for kind, name, given in (("values", "read", data), ("refs", "stored_read", ref)):
        with fake_actor(__name__, readers) as actor:
            before = [actor.call(name, {"x": np.zeros(1, np.uint8)}) for _ in range(readers)]
            after = []
            took[kind] = seconds(lambda a=actor, n=name, g=given, into=after: into.extend(
                a.call(n, {"x": g}) for _ in range(readers)))  # fmt: skip
            private[kind] = sum(after) - sum(before)
    ratio = took["values"] / took["refs"]
    bar = min(readers, 4)
    measured, baseline = f"{took['refs'] * 1000:.0f} ms", f"{took['values'] * 1000:.0f} ms values"
    yield Row(f"64 MiB to {readers} readers", measured, baseline, f"{ratio:.1f}", f"≥ {bar}", ratio >= bar)
    measured, baseline = (f"{private[kind] // MiB} MiB" for kind in ("refs", "values"))
    small = private["refs"] < 16 * MiB * readers
    yield Row(f"64 MiB to {readers} readers, private", measured, f"{baseline} values", "", "≤ 16 MiB each", small)


def _driver(kind):
    command = [sys.executable, "-m", "benchmarks.fans", kind]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _fan_in(kind):
    """Print how much memory the driver of the workflow took."""
    prefix = "stored_" if kind == "stored" else ""
    with fake_actor("benchmarks.fans") as actor:
        for name in ("piece", "joined"):

            def step():
                """Run where the worker is."""

            step.__name__ = prefix + name
            embedded.function(name=name, provider="fake", wrapper=remote(embedded, actor))(step)

        @embedded.workflow
        def collect(wf):
            return wf.call("joined", {"pieces": wf.input()["numbers"].map(lambda n: wf.call("piece", {"n": n}))})

        actor.call(prefix + "joined", {"pieces": []})
        before = memory(os.getpid(), "VmRSS")
        runs = {"values": collect.export(), "stored": lambda given: run(collect, given)}
        assert runs[kind]({"numbers": list(range(PIECES))}) == PIECES * MiB
        print(memory(os.getpid(), "VmHWM") - before)


if __name__ == "__main__":
    _fan_in(sys.argv[1])
