"""Three steps over an array: values in one process, values through an actor, references cold and warm.

Expected: in one process values are handed over as pointers, and references lose to them at every size. Against the
actor they break even between 64 KiB and 1 MiB, are ahead from there, five times as fast at 16 and 64 MiB, and still
work at 512 MiB, where the message limit ends the actor.
"""

from __future__ import annotations

import os
import statistics
import tempfile

import grpc
import numpy as np

from lucas_storage import embedded, run, storage_context, with_storage

from .fake_actor import fake_actor, remote
from .harness import MiB, Row, seconds, storage_server

SIZES = {"1 KiB": 1 << 10, "64 KiB": 64 << 10, "1 MiB": MiB, "16 MiB": 16 * MiB, "64 MiB": 64 * MiB}
EXPECTED = {"1 KiB": 0.1, "64 KiB": 0.5, "1 MiB": 1, "16 MiB": 5, "64 MiB": 5}
BEYOND = 512 * MiB
ROUNDS = 3


def scale(x: np.ndarray) -> np.ndarray:
    return x * np.uint8(3)


def shift(x: np.ndarray) -> np.ndarray:
    return x + np.uint8(1)


def total(x: np.ndarray) -> int:
    return int(x[::4096].sum())


BODIES = (scale, shift, total)
FUNCTIONS = {body.__name__: body for body in BODIES}
FUNCTIONS |= {f"stored_{body.__name__}": with_storage(body) for body in BODIES}


def measure():
    with (
        storage_server() as server,
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=server.endpoint, cache_dir=cache),
    ):
        os.environ.update(STORAGE_ENDPOINT=server.endpoint, LUCAS_STORAGE_CACHE=cache)
        with fake_actor(__name__) as actor:
            here, values, refs = _chain("here"), _chain("actor", actor), _chain("stored", actor)
            for name, size in SIZES.items():
                yield from _rows(name, size, here.export(), values.export(), refs)
            yield _beyond(values.export(), refs)


def _chain(kind, actor=None):
    prefix = "stored_" if kind == "stored" else ""
    for body in BODIES:
        options = {"provider": kind, "wrapper": remote(embedded, actor)} if actor else {}
        step = _named(f"{prefix}{body.__name__}") if actor else _of_runtime(body)
        embedded.function(name=f"{kind}_{body.__name__}", **options)(step)

    @embedded.workflow
    def chain(wf):
        scaled = wf.call(f"{kind}_scale", {"x": wf.input()["x"]})
        return wf.call(f"{kind}_total", {"x": wf.call(f"{kind}_shift", {"x": scaled})})

    return chain


def _of_runtime(body):
    return lambda rt: body(**rt.input())


def _named(name):
    def step():
        """Run where the worker is."""

    step.__name__ = name
    return step


def _rows(name, size, here, values, refs):
    samples = []
    for number in range(ROUNDS if size <= 16 * MiB else 1):
        data = _data(size, number)
        samples.append([
            seconds(lambda data=data: here({"x": data})),
            seconds(lambda data=data: values({"x": data})),
            seconds(lambda data=data: run(refs, {"x": data})),
            seconds(lambda data=data: run(refs, {"x": data})),
        ])  # fmt: skip
    local, actor, cold, warm = (statistics.median(column) for column in zip(*samples, strict=True))
    bar = EXPECTED[name]
    for arm, ours in (("cold", cold), ("warm", warm)):
        ratio = actor / ours
        measured, baseline = f"{ours * 1000:.1f} ms", f"{actor * 1000:.1f} ms actor"
        yield Row(f"3 steps, {name}, refs {arm}", measured, baseline, f"{ratio:.2f}", f"≥ {bar}", ratio >= bar)
    ratio = local / cold
    measured, baseline = f"{cold * 1000:.1f} ms", f"{local * 1000:.2f} ms pointers"
    yield Row(f"3 steps, {name}, in one process", measured, baseline, f"{ratio:.3f}", "< 1, loses", ratio < 1)


def _beyond(values, refs):
    data = _data(BEYOND, 0)
    try:
        values({"x": data})
        actor = "works"
    except grpc.RpcError as error:
        actor = error.code().name
    took = seconds(lambda: run(refs, {"x": data}))
    expected = actor == "RESOURCE_EXHAUSTED"
    return Row(
        "3 steps, 512 MiB, refs cold", f"{took:.1f} s", f"actor: {actor}", "", "actor fails, refs work", expected
    )


def _data(size, number):
    """Return bytes that are not stored yet."""
    return np.random.default_rng([size, number]).integers(0, 256, size, np.uint8)
