"""A one-node Ceph with its S3 gateway, as for the tests over a real store (``tests/remote``)."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .s3 import Absent, Store

NAME = "Ceph"
SCRIPT = Path(__file__).resolve().parents[2] / "tests" / "remote" / "ceph-rgw.sh"
PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "curl")


@contextmanager
def cluster():
    """Yield the gateway with an empty bucket, or the reason why there is none; nothing is installed."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        yield Absent(NAME, f"not measured: without {missing[0]}; tests/remote/ceph-rgw.sh install")
        return
    folder = tempfile.mkdtemp(prefix="rgw-", dir="/tmp")
    settings = {**os.environ, **_ports(), "CEPH_RGW_DIR": folder}
    try:
        done = subprocess.run([SCRIPT, "start"], env=settings, capture_output=True, text=True, check=False)
        if done.returncode:
            yield Absent(NAME, f"not measured: {' '.join(done.stderr.split())[-120:]}")
        else:
            exports = _exports(done.stdout)
            keys = exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"]
            yield Store(NAME, f"http://127.0.0.1:{settings['CEPH_RGW_PORT']}", *keys, _pids(folder))
    finally:
        subprocess.run([SCRIPT, "destroy"], env=settings, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _ports():
    """Return twenty ports in a row that are free: the OSD takes four of those given to it."""
    for first in range(11_000, 30_000, 20):
        try:
            for port in range(first, first + 20):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        names = ("CEPH_RGW_PORT", "CEPH_RGW_MON_PORT", "CEPH_RGW_OSD_PORT_MIN", "CEPH_RGW_OSD_PORT_MAX")
        return dict(zip(names, map(str, (first, first + 1, first + 2, first + 19)), strict=True))
    raise RuntimeError("no twenty ports in a row are free")


def _exports(text):
    return dict(shlex.split(line)[-1].partition("=")[::2] for line in text.splitlines() if line.startswith("export "))


def _pids(folder):
    """Return the pids of monitor, OSD and gateway: all work for a request."""
    return tuple(int(path.read_text().split()[0]) for path in sorted(Path(folder).glob("*.pid")))
