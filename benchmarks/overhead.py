"""Overhead of the decorator for a step that stores nothing, and of a value for the driver.

Expected: at most 50 µs a step. For a value of 8 MiB an actor's driver writes about four bytes of ``dag.json`` and two
of log for each byte, for a reference half a KiB of each.
"""

from __future__ import annotations

import os
import tempfile

from lucas_storage import Storage, storage_context, with_storage

from .fake_actor import fake_actor
from .harness import MiB, Row, alternate, storage_server

STEPS, ROUNDS = 2_000, 5
SIZE = 8 * MiB


def nothing(x: int) -> int:
    return x


def length(data: bytes) -> int:
    return len(data)


decorated = with_storage(nothing)
FUNCTIONS = {"length": length, "stored_length": with_storage(length)}


def measure():
    yield _decorator()
    with (
        storage_server() as server,
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=server.endpoint, cache_dir=cache),
    ):
        os.environ.update(STORAGE_ENDPOINT=server.endpoint, LUCAS_STORAGE_CACHE=cache)
        with fake_actor(__name__) as actor:
            data = os.urandom(SIZE)
            values = _written(actor, "length", data)
            refs = _written(actor, "stored_length", Storage().put(data).to_json())
    for what, of_values, of_refs in zip(("dag.json", "log"), values, refs, strict=True):
        measured, baseline = f"{of_refs} B", f"{of_values / SIZE:.1f} B per byte of values"
        yield Row(f"{what} for 8 MiB", measured, baseline, f"{of_values / of_refs:.0f}", "≤ 1 KiB", of_refs <= 1024)


def _decorator():
    plain, stored = alternate(
        ROUNDS,
        lambda: [nothing(x=number) for number in range(STEPS)],
        lambda: [decorated(x=number) for number in range(STEPS)],
    )
    each = (stored - plain) / STEPS
    return Row(
        f"decorator, nothing to store, {STEPS} steps",
        f"{each * 1e6:.0f} µs",
        f"{plain / STEPS * 1e6:.2f} µs without",
        "",
        "≤ 50 µs",
        each <= 50e-6,
    )


def _written(actor, name, data):
    assert actor.call(name, {"data": data}) == SIZE
    return actor.dag.stat().st_size, actor.log.stat().st_size
