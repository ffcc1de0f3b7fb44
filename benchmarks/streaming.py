"""768 MiB through two steps in a process that may use 512 MiB of memory: as one value, and as a stream.

Expected: the value does not fit and ends its process; the stream passes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from lucas_storage import embedded, run, with_storage

from .harness import MiB, Row, storage_server

COUNT = 768
LIMIT = 512 * MiB


@with_storage
def made_whole(count: int) -> bytes:
    return b"".join(_pieces(count))


@with_storage
def measured_whole(data: bytes) -> int:
    return len(data)


@with_storage
def made_streaming(count: int) -> Iterator[bytes]:
    yield from _pieces(count)


@with_storage
def measured_streaming(data: Iterator[bytes]) -> int:
    return sum(map(len, data))


def measure():
    with storage_server() as server, tempfile.TemporaryDirectory() as cache:
        os.environ.update(STORAGE_ENDPOINT=server.endpoint, LUCAS_STORAGE_CACHE=cache)
        whole, _ = _run("whole")
        streaming, took = _run("streaming")
    measured = f"{COUNT / took:.0f} MiB/s" if streaming else "dies"
    baseline = "works" if whole else "dies"
    yield Row(
        "768 MiB through 2 steps in 512 MiB, stream",
        measured,
        f"{baseline} as one value",
        "",
        "value dies, stream passes",
        streaming and not whole,
    )


def _run(kind):
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.streaming", kind]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0, time.perf_counter() - began


def _pieces(count):
    for number in range(count):
        yield number.to_bytes(4, "big") * (MiB // 4)


def _limited(kind):
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    for step in (made_whole, measured_whole, made_streaming, measured_streaming):
        embedded.function(step)

    @embedded.workflow
    def through(wf):
        return wf.call(f"measured_{kind}", {"data": wf.call(f"made_{kind}", {"count": wf.input()["count"]})})

    assert run(through, {"count": COUNT}) == COUNT * MiB


if __name__ == "__main__":
    _limited(sys.argv[1])
