"""Peak memory while 5 GiB go up and come down."""

from __future__ import annotations

import os

from benchmarks.cases import Case, Memory, MiB, size_text
from benchmarks.services import TCP, UNIX
from benchmarks.setting import BUCKET

LIMIT = Memory(100 * MiB)
BLOCK = 16 * MiB


def cases(setting):
    size, source, target = setting.scale.huge, setting.folder / "huge", setting.folder / "huge-copy"
    block = os.urandom(BLOCK)
    with source.open("wb") as file:
        for _ in range(size // BLOCK):
            file.write(block)
    targets = {UNIX: LIMIT, TCP: LIMIT}
    ways = {
        "upload_file": lambda client, _: client.upload_file(BUCKET, "huge", source),
        "download_file": lambda client, _: client.download_file(BUCKET, "huge", target),
    }
    for name, action in ways.items():
        arms = list(setting.ours(name, action, targets))
        yield Case(
            f"{name}, {size_text(size)}, peak memory", arms, size, rounds=1, warm=False, before=lambda: _settle(target)
        )
    target.unlink(missing_ok=True)
    source.unlink()
    for client in setting.clients.values():
        client.delete_object(BUCKET, "huge")


def _settle(target):
    """Remove what the arm before has written, and let its blocks reach the disk."""
    target.unlink(missing_ok=True)
    os.sync()
