"""Data directories of every release are opened by this version, and everything in them is as it was.

``data`` has what `release_data.py` made with each release, under its number.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from actorc.storage.errors import UnauthenticatedError
from actorc.storage.models import ObjectAttributes
from actorc.storage.server.engines.base import PartChoice
from actorc.storage.server.engines.local import LocalEngine, back_up, restore
from actorc.storage.testing import local_server

HERE = Path(__file__).parent
sys.path.append(str(HERE))
from release_data import described, run_workflow  # noqa: E402  # beside this file, where it is a script, too

ARCHIVES = sorted((HERE / "data").glob("*.tar.xz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def release(request, tmp_path):
    """The folder with the two data directories, and what is expected of them."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def expected(release):
    return json.loads((release / "expected.json").read_text())


@pytest.fixture(params=["closed", "killed"])
def data(request, release):
    """The data directory of a server that was stopped, and of one that was killed."""
    return release / request.param


def same(objects):
    return json.loads(json.dumps(objects))


def test_every_object_is_as_it_was_and_nothing_is_damaged(data, expected):
    key = expected["keys"][data.name]
    with (
        local_server(str(data), keys=data / "keys.json") as server,
        server.client(**key["enabled"]) as client,
    ):
        assert same(described(client)) == expected["objects"]

    with closing(LocalEngine(data, sweep_interval=None)) as engine:
        engine.sweep()
        assert engine.maintenance.fsck() == []


def test_access_keys_are_valid_as_they_were(data, expected):
    key = expected["keys"][data.name]
    with local_server(str(data), keys=data / "keys.json") as server:
        with server.client(**key["enabled"]) as client:
            assert client.list_buckets()
        with server.client(**key["disabled"]) as client, pytest.raises(UnauthenticatedError):
            client.list_buckets()


def test_an_upload_under_way_goes_on(data, expected):
    upload, first = expected["upload"]["upload_id"], expected["upload"]["part"]
    # at the time of its making, or it would have been abandoned for too long
    with closing(LocalEngine(data, sweep_interval=None, clock=lambda: expected["made_at"] + 60)) as engine:
        (part,) = engine.list_parts("bucket", "under way", upload)
        assert (part.number, part.etag, part.size) == (1, first["etag"], 20_000)
        info = engine.complete_upload("bucket", "under way", upload, [PartChoice(1, first["etag"])])

        assert (info.size, info.content_type) == (20_000, "text/plain")
        engine.sweep()
        assert engine.maintenance.fsck() == []


def test_new_objects_come_behind_the_old_ones(data):
    with closing(LocalEngine(data, sweep_interval=None)) as engine:
        before = engine.head("bucket", "replaced").generation
        with engine.writer("bucket", "new") as writer:
            assert writer.commit(ObjectAttributes()).generation > before


def test_a_backup_of_it_is_made_before_it_is_upgraded_and_restores(data, expected, tmp_path):
    index = (data / "meta" / "meta.db").read_bytes()

    back_up(data, tmp_path / "backups")

    assert (data / "meta" / "meta.db").read_bytes() == index
    assert restore(tmp_path / "backups", tmp_path / "restored").findings == []
    key = expected["keys"][data.name]
    with (
        local_server(str(tmp_path / "restored"), keys=data / "keys.json") as server,
        server.client(**key["enabled"]) as client,
    ):
        assert same(described(client)) == expected["objects"]


@pytest.mark.slow
def test_workflows_find_their_results_names_checkpoints_and_signed_pickles(data, expected):
    # a server with keys lets in programs that have one
    (data / "keys.json").unlink()

    found = run_workflow(data, "again")

    assert expected["workflow"]["ran"] == ["described", "numbers", "third"]
    assert expected["workflow"]["error"] == "a power cut in epoch 4"
    assert found["ran"] == []
    assert found["epoch"] == 4
    for name in ("described", "third", "is_fraction", "prod"):
        assert found[name] == expected["workflow"][name]


@pytest.mark.slow
def test_runs_are_listed_and_artifacts_are_traced(data):
    (data / "keys.json").unlink()

    def command(*arguments):
        line = [sys.executable, "-m", "lucas_storage.cli", *arguments, "--data", data, "--json"]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return [json.loads(each) for each in done.stdout.splitlines()]

    runs = command("runs")
    assert [(each["workflow"], each["status"]) for each in runs] == [("training", "failed"), ("making", "succeeded")]
    assert command("show", "numbers@prod")[0]["size"] == 40_128
    assert "making" in json.dumps(command("why", "numbers@prod"))
