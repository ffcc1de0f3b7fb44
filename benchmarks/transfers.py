"""One stream of 256 MiB down and up, beside a bare gRPC stream and a local fsynced copy."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from pathlib import Path

from actorc.storage import StorageClient

from .bare_grpc import CHUNK, bare_server
from .harness import MiB, Row, alternate, storage_server

COUNT = 256
ROUNDS = 5


def measure():
    with storage_server() as server, bare_server() as bare, StorageClient(server.endpoint) as client:
        source = os.urandom(MiB)
        client.upload_from_stream("bench", "object", (source for _ in range(COUNT)))

        def down():
            deque(client.stream_object("bench", "object"), maxlen=0)

        def bare_down():
            deque(bare.unary_stream("/bare/Down")(str(COUNT).encode()), maxlen=0)

        def up():
            client.upload_from_stream("bench", "upload", (source for _ in range(COUNT)))

        def bare_up():
            bare.stream_unary("/bare/Up")(iter([CHUNK] * COUNT))

        downs = alternate(ROUNDS, down, bare_down)
        ups = alternate(ROUNDS, up, bare_up, lambda: _fsynced_copy(source))
    yield _row("download, one stream, 256 MiB", downs[0], downs[1], 0.9, "bare gRPC stream")
    yield _row("upload, one stream, 256 MiB, fsynced", ups[0], max(ups[1:]), 0.8, "slower of bare stream, fsynced copy")


def _fsynced_copy(source):
    with tempfile.TemporaryDirectory() as folder, Path(folder, "copy").open("wb") as file:
        file.writelines(source for _ in range(COUNT))
        file.flush()
        os.fsync(file.fileno())


def _row(what, ours, baseline, target, name):
    ratio = baseline / ours
    rate = COUNT / ours, COUNT / baseline
    return Row(
        what, f"{rate[0]:.0f} MiB/s", f"{rate[1]:.0f} MiB/s {name}", f"{ratio:.2f}", f"≥ {target}", ratio >= target
    )
