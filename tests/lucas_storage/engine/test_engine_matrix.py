"""One user code, every shape of graph, every way functions are called, both engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lucas_storage

pytestmark = pytest.mark.slow  # a process that runs every workflow for each engine

ROOT = Path(lucas_storage.__file__).parents[1]
CASES = Path(__file__).with_name("engine_cases.py")
LUCAS_SRC = os.environ.get("LUCAS_SRC")
BIG = 10_000

EXPECTED = {
    "linear": [3 * BIG, 5 * BIG],
    "diamond": [15 * BIG, 25 * BIG],
    "fan": [3 * BIG, 10 * BIG],
    "select": [9 * BIG, 15 * BIG],
    "constants": [21, 35],
    "nested": [4 * BIG, 6 * BIG],
    "none": [True, True],
    "attempts": [[True, 3 * BIG], [True, 5 * BIG]],
}
STYLES = ["rt", "names", "dict"]


def results_of(storage_server, folder, *path):
    done = subprocess.run(
        [sys.executable, str(CASES), storage_server.endpoint, str(folder / "cache")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]), "LUCAS_LOG": "5"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def embedded(storage_server, tmp_path_factory):
    found = results_of(storage_server, tmp_path_factory.mktemp("embedded"))
    assert found["embedded"]
    return found["results"]


@pytest.fixture(scope="module")
def genuine(storage_server, tmp_path_factory):
    if not LUCAS_SRC:
        pytest.skip("LUCAS_SRC names no checkout of genuine Lucas")
    found = results_of(storage_server, tmp_path_factory.mktemp("genuine"), LUCAS_SRC)
    assert not found["embedded"]
    return found["results"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shape", EXPECTED)
def test_the_embedded_engine_gives_the_right_result(embedded, shape, style):
    assert EXPECTED[shape] == embedded[f"{shape}-{style}"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shape", EXPECTED)
def test_genuine_lucas_gives_the_right_result(genuine, shape, style):
    assert EXPECTED[shape] == genuine[f"{shape}-{style}"]


@pytest.mark.parametrize("engine", ["embedded", "genuine"])
def test_runs_at_the_same_time_do_not_mix(engine, request):
    assert [n * BIG for n in range(8)] == request.getfixturevalue(engine)["at-once"]


@pytest.mark.parametrize("engine", ["embedded", "genuine"])
def test_inputs_may_have_defaults(engine, request):
    assert request.getfixturevalue(engine)["default"] == [20, 40]


@pytest.mark.parametrize("engine", ["embedded", "genuine"])
def test_a_missing_input_is_named_before_anything_runs(engine, request):
    assert "the workflow needs the input 'n'" in request.getfixturevalue(engine)["missing"]
