"""Peak extra memory of client and server while 1 GiB goes up and comes down."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from actorc.storage import StorageClient

from .harness import MiB, Row, forget_peak, memory, storage_server

SIZE = 1024 * MiB
LIMIT = 100 * MiB


def measure():
    with storage_server() as server, StorageClient(server.endpoint) as client, tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        with source.open("wb") as file:
            for _ in range(SIZE // MiB):
                file.write(os.urandom(MiB))
        client.put_object("bench", "warm", b"up")
        yield from _peaks("upload of 1 GiB", server.pid, lambda: client.upload_file("bench", "big", source))
        yield from _peaks("download of 1 GiB", server.pid, lambda: client.download_file("bench", "big", target))


def _peaks(what, server_pid, transfer):
    sides = {"client": os.getpid(), "server": server_pid}
    before = {}
    for side, pid in sides.items():
        forget_peak(pid)
        before[side] = memory(pid, "VmRSS")
    transfer()
    for side, pid in sides.items():
        extra = memory(pid, "VmHWM") - before[side]
        yield Row(
            f"{what}, peak extra memory, {side}",
            f"{extra / MiB:.0f} MiB",
            f"{before[side] / MiB:.0f} MiB before",
            "",
            f"≤ {LIMIT // MiB} MiB",
            extra <= LIMIT,
        )
