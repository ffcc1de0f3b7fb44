"""The harness of the benchmarks: a server in a process of its own, clocks, and the rows of the table."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MiB = 1 << 20


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    baseline: str
    ratio: str
    target: str
    met: bool


@dataclass(frozen=True)
class Process:
    endpoint: str
    pid: int


@contextmanager
def storage_server(*options, engine=None):
    """Yield a real server in a process of its own: durable, in a directory of its own, or over another engine."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint_file = Path(folder, "endpoint.json")
        place = ["--engine", engine] if engine else ["--data", str(Path(folder, "data"))]
        command = [sys.executable, "-m", "actorc.storage.server", *place]
        command += ["--listen", "127.0.0.1:0", "--auto-create-buckets", "--endpoint-file", str(endpoint_file), *options]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                yield Process(_wait_for(endpoint_file, process)["endpoint"], process.pid)
            finally:
                process.terminate()
                process.wait()


def _wait_for(path, process):
    while not path.exists():
        if process.poll() is not None:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    return json.loads(path.read_text())


def memory(pid, field):
    """Return VmRSS or VmHWM of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def forget_peak(pid):
    """Make the present memory of a process its peak."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def seconds(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def alternate(rounds, *actions):
    """Return the median seconds of each action, measured in turns so that drift hits all alike."""
    samples = [[seconds(action) for action in actions] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*samples, strict=True)]
