"""Fan-in: memory of the driver that collects many results, by values and by references.

Expected: of 100 results of 1 MiB, collected by the driver, values cost it 100 MiB, references less than 20.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import numpy as np

from benchmarks.baselines.fake_actor import fake_actor, remote
from benchmarks.cases import MiB, Row
from benchmarks.processes import memory
from benchmarks.services import environment
from lucas_storage import embedded, run, with_storage

PIECES = 100


def piece(n: int) -> np.ndarray:
    return np.full(MiB, n, np.uint8)


def joined(pieces: list[np.ndarray]) -> int:
    return sum(map(len, pieces))


FUNCTIONS = {"piece": piece, "joined": joined}
FUNCTIONS |= {f"stored_{name}": with_storage(body) for name, body in FUNCTIONS.items()}


def cases(setting):
    with (
        tempfile.TemporaryDirectory() as cache,
        environment(STORAGE_ENDPOINT=setting.server.endpoint, LUCAS_STORAGE_CACHE=cache),
    ):
        values, refs = _driver("values"), _driver("stored")
    what, limit = f"fan-in of {PIECES} x 1 MiB, memory of the driver", 20 * MiB
    yield Row(what, "references", "", f"{refs / MiB:.0f} MiB", "", f"{refs / values:.2f}", "< 20 MiB", refs < limit)
    yield Row(what, "values, actor-like engine", "", f"{values / MiB:.0f} MiB")


def _driver(kind):
    command = [sys.executable, "-m", "benchmarks.rows.fan_in", kind]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _fan_in(kind):
    """Print how much memory the driver of the workflow took."""
    prefix = "stored_" if kind == "stored" else ""
    with fake_actor("benchmarks.rows.fan_in") as actor:
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
