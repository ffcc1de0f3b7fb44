"""A run with artifacts of every kind, and its bundle."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from lucas_storage import Storage, run, storage_context, with_storage
from lucas_storage.bundles.export import export
from lucas_storage.embedded import function, routeBuilder, workflow
from lucas_storage.records import run_history


class Model:
    """What only a pickle holds."""

    def __init__(self, weight):
        self.weight = weight


class Bundled(NamedTuple):
    """A run and its bundle."""

    path: Path
    run: str


@pytest.fixture
def ran(storage, monkeypatch, small_parts):
    """The id of a run of five steps."""
    monkeypatch.setattr(routeBuilder, "funcs", [])
    monkeypatch.setattr(routeBuilder, "works", [])

    @function
    @with_storage
    def numbers(n):
        return np.arange(n)

    @function
    @with_storage(inline_max=0)
    def several(n):
        return [np.full(1000, i) for i in range(n)]

    @function
    @with_storage
    def folder(storage, xs: list):
        directory = storage.scratch()
        (directory / "a").mkdir()
        (directory / "a" / "small.txt").write_text("small")
        (directory / "largeä.bin").write_bytes(bytes(3 * 4096 + 1))
        return directory

    @function
    @with_storage
    def model(x: np.ndarray):
        return Model(int(x.sum()))

    @function
    @with_storage
    def last(m, d: Path, xs: list):
        return {"weight": m.weight, "names": sorted(path.name for path in d.iterdir()), "count": len(xs)}

    @workflow
    def study(wf):
        xs = wf.call("several", {"n": 3})
        x = wf.call("numbers", {"n": wf.input()["n"]})
        return wf.call("last", {"m": wf.call("model", {"x": x}), "d": wf.call("folder", {"xs": xs}), "xs": xs})

    run(study, {"n": 10_000}, materialize=False)
    return run_history.find(storage, "last").key


@pytest.fixture
def bundled(storage, ran, tmp_path):
    path = tmp_path / "bundle.zip"
    export(storage, run_history.find(storage, ran), path)
    return Bundled(path, ran)


@pytest.fixture
def elsewhere(storage):
    """A handle of another bucket, and the settings of its user."""

    def entered(bucket="test-elsewhere", **settings):
        context = storage_context(bucket=bucket, **settings)
        context.__enter__()
        entered.contexts.append(context)
        return Storage()

    entered.contexts = []
    yield entered
    while entered.contexts:
        entered.contexts.pop().__exit__(None, None, None)
