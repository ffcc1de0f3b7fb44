"""How long the command line takes to start, and a shipped function to arrive in a worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.cases import Arm, Case, Within
from benchmarks.services import UNIX, environment

PROGRAM = str(Path(sys.executable).with_name("lucas-storage"))
EMPTY = "python -c pass"
ARRIVAL = "import time; began = time.perf_counter(); import lucas_storage._shim; print(time.perf_counter() - began)"


def cases(setting):
    rounds = 2 * setting.scale.rounds
    nothing = Arm(EMPTY, lambda _: _run(sys.executable, "-c", "pass"))
    help_arm = Arm("lucas-storage --help", lambda _: _run(PROGRAM, "--help"), target=Within(0.12))
    yield Case("lucas-storage --help", [help_arm, nothing], rounds=rounds)
    client = next(iter(setting.clients.values()))
    client.put_object("names", "one", b"1")
    with environment(STORAGE_ENDPOINT=setting.server.endpoint):
        transport = next(iter(setting.clients))
        target = Within(0.12) if transport == UNIX else None
        listed = Arm("lucas-storage ls", lambda _: _run(PROGRAM, "ls", "names"), setting.server.pids, transport, target)
        yield Case("lucas-storage ls", [listed, nothing], rounds=rounds)
    yield Case("import of a shipped function in a worker", [_arrival(), nothing], rounds=rounds)


def _run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _arrival():
    """Return an arm that imports in a process of its own, of which the import alone counts."""
    return Arm(
        "import lucas_storage._shim",
        lambda _: float(_run(sys.executable, "-c", ARRIVAL)),
        target=Within(0.03),
        reports=True,
    )
