"""A process that dies at any disk call loses nothing it acknowledged and leaves nothing partial."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.models import ListQuery
from actorc.storage.rules import MiB
from actorc.storage.server.engines.local import Rebuild
from tests.actorc.storage.server.engines.local.crash_child import batch_of

CHILD = Path(__file__).with_name("crash_child.py")


def outcomes(journal):
    """What may be there: what was acknowledged last, or what was tried after that."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    acknowledged = [size for what, size in lines if what == "done"]
    return {acknowledged[-1] if acknowledged else None, lines[-1][1] if lines else None}


def present(engine, get):
    try:
        engine.head_bucket("bucket")
        data = get(engine, "key")
    except ObjectNotFoundError:
        return None
    assert bytes([len(data) % 251]) * len(data) == data
    return len(data)


SCENARIOS = [
    "first_start",
    "second_start",
    "inline",
    "large",
    "declared_too_large",
    "imported",
    "overwrite",
    "delete",
    "part_again",
    "multipart",
    "copy",
    "batch_delete",
]
BATCH = "batch_put"
MENDING = ["quarantine", "adopt", "rebuild"]


@pytest.fixture(scope="module")
def remains(tmp_path_factory, thorough):
    """Where the processes died, each scenario in a folder of its own."""
    root = tmp_path_factory.mktemp("remains")
    steps = dict.fromkeys([*SCENARIOS, BATCH], 1 if thorough else 13) | dict.fromkeys(MENDING, 1 if thorough else 23)
    command = [sys.executable, CHILD, root, *(f"{scenario}={step}" for scenario, step in steps.items())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    return root


def journals(folder):
    """Return the journals of all attempts: at each call one died before it and one after it, and the last survived."""
    found = sorted(folder.glob("*.journal"))
    assert len(found) == int((folder / "attempts").read_text())
    assert len(found) > 2
    return found


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_disk_call_loses_nothing(remains, open_local, put, get, problems, scenario):
    for journal in journals(remains / scenario):
        engine = open_local(journal.with_suffix(""))
        engine.create_bucket("bucket", exist_ok=True)
        assert present(engine, get) in outcomes(journal), journal.stem
        assert "a staging file of no upload" not in [finding.detail for finding in engine.maintenance.fsck()]
        for upload in engine.list_uploads("bucket").uploads:
            for part in engine.list_parts("bucket", "key", upload.upload_id):
                assert part.size in {30, MiB + 1, MiB + 5, MiB + 10, MiB + 20}
        engine.sweep()
        assert problems(engine) == []
        assert put(engine, "key", b"after") == engine.head("bucket", "key")
        engine.close()


@pytest.mark.slow
def test_a_batch_that_a_kill_cut_off_is_there_whole_or_not_at_all_and_has_one_effect(remains, open_local, problems):
    for journal in journals(remains / BATCH):
        engine = open_local(journal.with_suffix(""))
        tried = [size for what, size in map(json.loads, journal.read_text().splitlines()) if what == "try"]
        # the last one may be there; each before it was acknowledged, so that a repetition changes nothing
        for size in reversed(tried):
            before = engine.page(ListQuery(bucket="bucket")).objects
            again = engine.put_many("bucket", batch_of(size), idempotency_key=f"batch-{size}")
            assert len(before) in {0, len(again)}
            assert len({info.size for info in before}) <= 1
            assert before == tuple(sorted(again)) or size not in {info.size for info in before}
            assert {info.size for info in engine.page(ListQuery(bucket="bucket")).objects} == {tried[-1]}
        engine.sweep()
        assert problems(engine) == []
        engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", MENDING)
def test_a_kill_while_an_index_is_mended_loses_nothing(remains, open_local, get, problems, disk, clock, scenario):
    for journal in journals(remains / scenario):
        directory = journal.with_suffix("")
        if not (directory / "meta" / "meta.db").exists():  # killed between taking the old index away and the swap
            with closing(Rebuild(directory, fsops=disk, clock=clock)) as rebuilding:
                rebuilding.run(commit=True)
        engine = open_local(directory)
        engine.maintenance.adopt()
        engine.sweep()
        assert present(engine, get) in outcomes(journal), journal.stem
        assert present(engine, get) is not None
        assert problems(engine) == []
        engine.close()
