"""A backup of a server of several workers under load, which is killed; then a server over what was restored."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psutil
import pytest

from actorc.storage import ObjectNotFoundError, StorageClient
from actorc.storage.rules import MiB
from actorc.storage.server.engines.local import LocalEngine, back_up, restore

pytestmark = pytest.mark.slow

# without a line for each call: nobody reads them meanwhile, and the server would wait for that
QUIET = ("--http", "off", "--no-access-log")
SERVE = ("-m", "actorc.storage.server", "--listen", "127.0.0.1:0", "--workers", "2", *QUIET)
SIZES = (10, 20_000, 300_000, 2 * MiB)
KEYS = 30
WRITERS = 4
SIMPLE_BACKUP = """
import sys
from actorc.storage.server.engines.local import back_up
from pathlib import Path
back_up(Path(sys.argv[1]), Path(sys.argv[2]), on_progress=lambda done, total: print(done, flush=True))
"""


class Writer:
    """Changes keys of its own until told to stop, and remembers every state that a reader may find.

    Its log has the acknowledged content of each key in order, None for a deleted one; what is under way is in it, too.
    """

    def __init__(self, client, number, seed):
        self._client = client
        self._prefix = f"writer-{number}/"
        self._random = random.Random(seed)
        self.log = {}
        self.acknowledged = {}
        self.lock = threading.Lock()

    def mark(self):
        """Return the number of states of each key that are acknowledged now."""
        with self.lock:
            return dict(self.acknowledged)

    def run(self, stopping):
        while not stopping.is_set():
            self.change()

    def change(self):
        key = f"{self._prefix}{self._random.randrange(KEYS)}"
        kind = self._random.choice(("put", "put", "put", "delete", "upload"))
        data = None if kind == "delete" else self._random.randbytes(self._random.choice(SIZES)) + os.urandom(8)
        with self.lock:
            states = self.log.setdefault(key, [None])
            states.append(data)
        if kind == "delete":
            self._client.delete_object("bucket", key)
        elif kind == "put":
            self._client.put_object("bucket", key, data)
        else:
            self._multipart(key, data)
        with self.lock:
            self.acknowledged[key] = len(states)

    def _multipart(self, key, data):
        upload = self._client.create_multipart_upload("bucket", key)["upload_id"]
        pieces = [data + bytes(5 * MiB), b"end"]
        with self.lock:
            self.log[key][-1] = b"".join(pieces)
        parts = [
            self._client.upload_part("bucket", key, upload, number, piece) for number, piece in enumerate(pieces, 1)
        ]
        self._client.complete_multipart_upload("bucket", key, upload, parts)


@pytest.fixture
def serve(run, tmp_path):
    def started(name):
        return run(*SERVE, "--data", str(tmp_path / name), "--auto-create-buckets")

    return started


def kill_all(process):
    """End a server and its workers without a chance to finish anything."""
    processes = [psutil.Process(process.process.pid), *psutil.Process(process.process.pid).children()]
    for each in processes:
        each.kill()
    psutil.wait_procs(processes, 20)


def found(client, key):
    try:
        return client.get_object("bucket", key)
    except ObjectNotFoundError:
        return None


def check_writer(writer, client, before):
    """Check that each key has the state acknowledged before the backup began, or a later one."""
    for key, states in writer.log.items():
        allowed = states[max(before.get(key, 1) - 1, 0) :]
        assert found(client, key) in allowed, key


@pytest.mark.parametrize("seed", range(2))
def test_a_backup_under_load_restores_with_nothing_lost(serve, tmp_path, seed):
    process = serve("data")
    stopping = threading.Event()
    with ThreadPoolExecutor(WRITERS) as pool, StorageClient(process.address()) as client:
        client.create_bucket("bucket")
        writers = [Writer(client, number, seed * 100 + number) for number in range(WRITERS)]
        for writer in writers:
            for _ in range(10):
                writer.change()
        running = [pool.submit(writer.run, stopping) for writer in writers]
        try:
            back_up(tmp_path / "data", tmp_path / "backups")
            marks = [writer.mark() for writer in writers]
            killed = killed_backup(tmp_path)
            done = back_up(tmp_path / "data", tmp_path / "backups")
        finally:
            stopping.set()
        for each in running:
            each.result()
    kill_all(process)

    assert killed == -signal.SIGKILL
    assert done.findings == ()
    assert restore(tmp_path / "backups", tmp_path / "restored").findings == []
    with closing(LocalEngine(tmp_path / "restored", sweep_interval=None)) as engine:
        assert engine.maintenance.fsck() == []
    again = serve("restored")
    with StorageClient(again.address()) as client:
        for writer, mark in zip(writers, marks, strict=True):
            assert mark
            check_writer(writer, client, mark)
    assert again.kill(signal.SIGTERM) is None
    again.wait()


def killed_backup(tmp_path):
    """Begin a backup and kill it while it copies; return its exit code."""
    command = [sys.executable, "-c", SIMPLE_BACKUP, str(tmp_path / "data"), str(tmp_path / "backups")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline()
        process.kill()
    return process.returncode
