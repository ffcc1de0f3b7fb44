"""Reuse: steps of a run that was killed, and unchanged bytes of a directory.

Expected: of nine steps of 0.2 s, killed in the seventh, a resumed run saves the six that were done. Of a
directory of which 1 % changed, about 1 % is sent again, where an archive is sent whole.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from benchmarks.cases import Row, duration
from benchmarks.services import environment
from lucas_storage import Storage, embedded, run, storage_context, with_storage

STEPS, DONE, WORK = 9, 6, 0.2
FILES, CHANGED, FILE_SIZE = 200, 2, 64 << 10


@with_storage
def work(x: int, number: int) -> int:
    if number == DONE and "KILLED" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(WORK)
    return x + 1


def cases(setting):
    with (
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=setting.server.endpoint, cache_dir=cache),
        environment(STORAGE_ENDPOINT=setting.server.endpoint, LUCAS_STORAGE_CACHE=cache),
    ):
        yield from _resumed()
        yield from _sent()


def _resumed():
    command = [sys.executable, "-m", "benchmarks.rows.reuse"]
    killed = {**os.environ, "KILLED": "1", "LUCAS_STORAGE_RESUME": "1"}
    subprocess.run(command, env=killed, check=False, capture_output=True)
    resumed = {**os.environ, "LUCAS_STORAGE_RESUME": "1"}
    on = float(subprocess.run(command, env=resumed, check=True, capture_output=True, text=True).stdout)
    off = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    saved, enough = (off - on) / WORK, DONE - 0.5
    what = f"killed in step {DONE + 1} of {STEPS}"
    yield Row(what, "resumed", "", duration(on), "", f"{saved:.1f} steps", f"≥ {enough} steps saved", saved >= enough)
    yield Row(what, "from the start", "", duration(off))


def _sent():
    with tempfile.TemporaryDirectory() as folder, Storage() as storage:
        for number in range(FILES):
            Path(folder, f"{number}.bin").write_bytes(os.urandom(FILE_SIZE))
        storage.put(Path(folder))
        storage.put(_archive(folder))
        for number in range(CHANGED):
            Path(folder, f"{number}.bin").write_bytes(os.urandom(FILE_SIZE))
        tree = _new_bytes(storage, Path(folder)) / (FILES * FILE_SIZE)
        archive = _new_bytes(storage, _archive(folder)) / (FILES * FILE_SIZE)
    what = "directory of which 1 % changed, sent"
    yield Row(what, "as a directory", "", f"{tree:.1%}", "", f"{tree / archive:.2f}", "≤ 2 %", tree <= 0.02)
    yield Row(what, "as an archive", "", f"{archive:.1%}")


def _archive(folder):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, "data")
    return buffer.getvalue()


def _new_bytes(storage, value):
    """Return how many bytes the store holds of a value that it did not hold before."""
    before = {one["key"] for one in storage.iter_objects(storage.bucket)}
    storage.put(value)
    return sum(one["size"] for one in storage.iter_objects(storage.bucket) if one["key"] not in before)


def _pipeline():
    """Run the steps one after another and print how long they took."""
    embedded.function(work)

    @embedded.workflow
    def pipeline(wf):
        value = wf.input()["x"]
        for number in range(STEPS):
            value = wf.call("work", {"x": value, "number": number})
        return value

    began = time.perf_counter()
    assert run(pipeline, {"x": 0}) == STEPS
    print(time.perf_counter() - began)


if __name__ == "__main__":
    _pipeline()
