"""Workflows over a gateway give what they give over a server of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actorc.storage.testing import local_server

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "lucas_storage" / "engine" / "engine_cases.py"

pytestmark = pytest.mark.slow


def run(folder, *command, **environment):
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_shape_of_workflow_and_every_style_of_function_gives_the_same(gateway, tmp_path):
    with local_server() as server:
        expected = run(tmp_path / "embedded", CASES, server.endpoint, tmp_path / "embedded" / "cache")
    actual = run(tmp_path / "remote", CASES, gateway.endpoint, tmp_path / "remote" / "cache")

    assert len(json.loads(expected.splitlines()[-1])["results"]) > 20
    assert json.loads(expected.splitlines()[-1]) == json.loads(actual.splitlines()[-1])


def test_the_main_job_runs_and_the_next_run_finds_everything_stored(gateway, client, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("output"))
    key = tmp_path / "signing.key"
    key.write_text("a signing key for tests alone\n")
    key.chmod(0o600)
    settings = {"STORAGE_ENDPOINT": gateway.endpoint, "LUCAS_STORAGE_SIGNING_KEY_FILE": str(key)}
    weather = ("-m", "lucas_storage.cli", "run", "examples/weather.py", "chart.png")

    first = run(tmp_path, *weather, **settings)
    stored = client.list_objects("lucas-artifacts", max_keys=10_000)["objects"]
    shutil.rmtree(tmp_path / "cache")
    second = run(tmp_path, *weather, **settings)

    assert "The chart is chart.png" in first
    assert first == second
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert not (tmp_path / ".lucas-storage").exists()
    assert len(stored) > 3


def test_a_directory_is_moved_to_the_store_by_sync(gateway, client, tmp_path):
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    bodies = {"a.txt": b"a" * 10, "deep/b.bin": os.urandom(3 << 20), "deep/er/c": b""}
    for name, data in bodies.items():
        (source / name).write_bytes(data)

    run(
        tmp_path,
        *("-m", "lucas_storage.cli", "sync", source, "lucas://default/bucket/moved"),
        STORAGE_ENDPOINT=gateway.endpoint,
    )

    assert bodies == {name: client.get_object("bucket", f"moved/{name}") for name in bodies}
