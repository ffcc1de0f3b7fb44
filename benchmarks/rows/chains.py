"""Three steps that pass an array of 64 MiB, or of 1 KiB, each to the next, cold: nothing of it is stored or cached.

Arms but that of pointers store what they pass, and read it back. By hand it is made durable and its digest checked, as
ours is; with fsspec and joblib neither.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import os
import tempfile

import numpy as np

from benchmarks.baselines.fake_actor import fake_actor, remote
from benchmarks.cases import Arm, Case, KiB, Missing, Time, Within, size_text
from benchmarks.services import environment, transport_of
from lucas_storage import Storage, embedded, run, storage_context, with_storage

BY_HAND = "np.save, fsync, SHA-256, np.load"


def scale(x: np.ndarray) -> np.ndarray:
    return x * np.uint8(3)


def shift(x: np.ndarray) -> np.ndarray:
    return x + np.uint8(1)


def total(x: np.ndarray) -> int:
    return int(x[::4096].sum())


BODIES = (scale, shift, total)
FUNCTIONS = {body.__name__: body for body in BODIES}
FUNCTIONS |= {f"stored_{body.__name__}": with_storage(body) for body in BODIES}


def cases(setting):
    endpoint = setting.server.endpoint
    with (
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=endpoint, cache_dir=cache),
        environment(STORAGE_ENDPOINT=endpoint, LUCAS_STORAGE_CACHE=cache),
        fake_actor(__name__) as actor,
        Storage() as storage,
    ):
        ours = {"pids": setting.server.pids, "transport": transport_of(storage)}
        for size, target in ((setting.scale.step, Time(1.5, (BY_HAND,))), (KiB, Within(0.004))):
            fresh = _fresh_arrays(size)
            flows = {
                "steps in one process": (chain("here", "stored"), ours | {"target": target}),
                "steps in a worker": (chain("stored", "stored", actor), ours | {"pids": (*ours["pids"], *actor.pids)}),
            }
            arms = [
                Arm(name, lambda _, flow=flow, fresh=fresh: run(flow, {"x": fresh()}), **options)
                for name, (flow, options) in flows.items()
            ]
            arms += [*_baselines(setting, fresh), *_values(actor, fresh)]
            yield Case(f"three steps pass {size_text(size)}, cold", arms, rounds=min(3, setting.scale.rounds))


def _values(actor, fresh):
    """Yield the arms without storage: as pointers, and as values of the engine."""
    pointers, values = chain("pointers", "").export(), chain("actor", "", actor).export()
    yield Arm("pointers, nothing stored", lambda _: pointers({"x": fresh()}))
    yield Arm("values, actor-like engine", lambda _: values({"x": fresh()}), actor.pids)


def _baselines(setting, fresh):
    folder = setting.folder / "steps"
    folder.mkdir(exist_ok=True)
    yield Arm(BY_HAND, lambda _: _passed(fresh(), lambda x: _through_file(folder / "x.npy", x)))
    if importlib.util.find_spec("fsspec"):
        yield Arm("fsspec, local files", lambda _: _passed(fresh(), lambda x: _through_fsspec(folder / "y.npy", x)))
    else:
        yield Missing("fsspec, local files", "not measured: fsspec is not installed")
    if importlib.util.find_spec("joblib"):
        yield Arm("joblib.Memory", _joblib_chain(folder / "joblib", fresh))
    else:
        yield Missing("joblib.Memory", "not measured: joblib is not installed")


def _passed(x, through):
    for body in BODIES:
        x = body(through(x))
    return x


def _through_file(path, x):
    with path.open("wb") as file:
        np.save(file, x)
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return np.load(path)


def _through_fsspec(path, x):
    import fsspec

    with fsspec.open(f"file://{path}", "wb") as file:
        np.save(file, x)
    with fsspec.open(f"file://{path}", "rb") as file:
        return np.load(file)


def _joblib_chain(place, fresh):
    import joblib

    memory = joblib.Memory(place, verbose=0)
    bodies = [memory.cache(body) for body in BODIES]

    def pass_on(_):
        x = fresh()
        for body in bodies:
            # the second call reads what the first one has stored
            body(x)
            x = body(x)
        memory.clear(warn=False)
        return x

    return pass_on


def chain(name, prefix, actor=None):
    """Return a workflow of the three steps.

    Args:
        name: Of its functions, since the engine runs what was registered first under a name.
        prefix: ``stored`` for decorated functions.
        actor: Where they run; in this process if there is none.
    """
    for body in BODIES:
        function_name = f"{prefix}_{body.__name__}".strip("_")
        options = {"provider": name, "wrapper": remote(embedded, actor)} if actor else {}
        step = _named(function_name) if actor else FUNCTIONS[function_name] if prefix else _of_runtime(body)
        embedded.function(name=f"{name}_{body.__name__}", **options)(step)

    @embedded.workflow
    def steps(wf):
        scaled = wf.call(f"{name}_scale", {"x": wf.input()["x"]})
        return wf.call(f"{name}_total", {"x": wf.call(f"{name}_shift", {"x": scaled})})

    return steps


def _of_runtime(body):
    return lambda rt: body(**rt.input())


def _named(name):
    def step():
        """Run where the worker is."""

    step.__name__ = name
    return step


def _fresh_arrays(size):
    """Return a function that returns arrays which no arm has seen, at no cost."""
    numbers = itertools.count()
    array = np.random.default_rng(size).integers(0, 256, size, np.uint8)

    def fresh():
        array[:8] = np.frombuffer(next(numbers).to_bytes(8, "little"), np.uint8)
        return array

    return fresh
