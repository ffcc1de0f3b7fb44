"""768 MiB through two steps in a process that may use 512 MiB of memory: as one value, and as a stream.

Expected: the value does not fit and ends its process; the stream passes.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.cases import MiB, Row
from benchmarks.services import environment
from lucas_storage import embedded, run, with_storage

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


def cases(setting):
    with (
        tempfile.TemporaryDirectory() as cache,
        environment(STORAGE_ENDPOINT=setting.server.endpoint, LUCAS_STORAGE_CACHE=cache),
    ):
        whole, _ = _run("whole")
        streaming, took = _run("streaming")
    what = f"{COUNT} MiB through two steps in 512 MiB of memory"
    measured = f"{COUNT / took:.0f} MiB/s" if streaming else "dies"
    yield Row(what, "as a stream", "", measured, target="passes, and the value dies", met=streaming and not whole)
    yield Row(what, "as one value", "", "passes" if whole else "dies")


def _run(kind):
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.rows.streaming", kind]
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
