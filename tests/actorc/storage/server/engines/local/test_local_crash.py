"""A process that dies at any disk call loses nothing it acknowledged and leaves nothing partial."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.rules import MiB
from actorc.storage.server.engines.local import Rebuild

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
    "overwrite",
    "delete",
    "part_again",
    "multipart",
    "copy",
    "batch_delete",
]
MENDING = ["quarantine", "adopt", "rebuild"]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_disk_call_loses_nothing(tmp_path, open_local, put, get, problems, scenario, thorough):
    command = [sys.executable, CHILD, tmp_path, scenario, "1" if thorough else "13"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    deaths = 0
    for journal in sorted(tmp_path.glob("*.journal")):
        engine = open_local(journal.stem)
        engine.create_bucket("bucket", exist_ok=True)
        assert present(engine, get) in outcomes(journal), journal.stem
        assert "a staging file of no upload" not in [finding.detail for finding in engine.fsck()]
        for upload in engine.list_uploads("bucket").uploads:
            for part in engine.list_parts("bucket", "key", upload.upload_id):
                assert part.size in {30, MiB + 1, MiB + 5, MiB + 10, MiB + 20}
        engine.sweep()
        assert problems(engine) == []
        assert put(engine, "key", b"after") == engine.head("bucket", "key")
        engine.close()
        deaths += 1
    assert deaths == 2 * int(done.stdout)
    assert deaths > 2


@pytest.mark.slow
@pytest.mark.parametrize("scenario", MENDING)
def test_a_kill_while_an_index_is_mended_loses_nothing(
    tmp_path, open_local, get, problems, disk, clock, scenario, thorough
):
    command = [sys.executable, CHILD, tmp_path, scenario, "1" if thorough else "23"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    deaths = 0
    for journal in sorted(tmp_path.glob("*.journal")):
        directory = tmp_path / journal.stem
        if not (directory / "meta" / "meta.db").exists():  # killed between taking the old index away and the swap
            with closing(Rebuild(directory, fsops=disk, clock=clock)) as rebuilding:
                rebuilding.run(commit=True)
        engine = open_local(journal.stem)
        engine.adopt()
        engine.sweep()
        assert present(engine, get) in outcomes(journal), journal.stem
        assert present(engine, get) is not None
        assert problems(engine) == []
        engine.close()
        deaths += 1
    assert deaths == 2 * int(done.stdout)
    assert deaths > 2
