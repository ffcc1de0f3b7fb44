"""A run with artifacts of every kind, and its bundle."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from actorc.storage.testing import local_server
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


def run_study(storage, patch):
    """Run a workflow of five steps, whose parts are of 4 KiB, and return the id of the run."""
    patch.setattr(routeBuilder, "funcs", [])
    patch.setattr(routeBuilder, "works", [])
    for module in ("artifacts.part_transfer", "values.storing.store_value"):
        patch.setattr(f"lucas_storage.{module}.PART", 4096)

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
def ran(storage, monkeypatch):
    """The id of a run in the store of the test."""
    return run_study(storage, monkeypatch)


@pytest.fixture
def bundled(storage, ran, tmp_path):
    """That run and its bundle."""
    path = tmp_path / "bundle.zip"
    export(storage, run_history.find(storage, ran), path)
    return Bundled(path, ran)


@pytest.fixture(scope="session")
def _copied(tmp_path_factory):
    """A bundle from another store, made once."""
    folder = tmp_path_factory.mktemp("bundle")
    own = {"cache_dir": folder / "cache", "bucket": "test-origin", "signing_key": "0123456789abcdef"}
    with (
        local_server() as server,
        pytest.MonkeyPatch.context() as patch,
        storage_context(endpoint=server.endpoint, access_key=None, secret_key=None, **own),
        Storage() as storage,
    ):
        key = run_study(storage, patch)
        export(storage, run_history.find(storage, key), folder / "bundle.zip")
    return Bundled(folder / "bundle.zip", key)


@pytest.fixture
def arrived(_copied, tmp_path):
    """A copy of a bundle from another store, which the test may change."""
    return Bundled(Path(shutil.copy(_copied.path, tmp_path / "bundle.zip")), _copied.run)


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
