"""The client on the embedded engine, on genuine Lucas, and on the last one that looked at `wrapper`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import lucas_storage

pytestmark = pytest.mark.slow

ROOT = Path(lucas_storage.__file__).parents[1]
CASES = Path(__file__).with_name("actor_cases.py")
ENGINES = {"embedded": "", "genuine": os.environ.get("LUCAS_SRC"), "older": os.environ.get("LUCAS_OLD")}
FAILED = "RemoteFunctionError, 'fail' raised ValueError on its worker, {}: on purpose"

EXPECTED = {
    "chain": [23, 25, 27],
    "at once": [2 * (a + 10) + 1 for a in range(10)],
    "bundle": [{"made": 3, "given": None}, {"made": 3, "given": [1]}],
    "elsewhere": True,
    "none": [None, None],
    "failing": [FAILED.format(-1), 11, FAILED.format(-2), 12],
    "misnamed": (
        "ParameterError, 'add' did not get 'a' and got 'aa', which it does not take; it takes 'a', 'b'; "
        "did you mean 'a' by 'aa'?"
    ),
    "by hand": 23,
    "left": [],
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, controller, storage_server, tmp_path_factory):
    path = ENGINES[request.param]
    if path is None:
        pytest.skip("no checkout of this Lucas is named")
    done = subprocess.run(
        [sys.executable, str(CASES)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [path, str(ROOT)])),
            "IGNIS_ADDR": controller.address,
            "STORAGE_ENDPOINT": storage_server.endpoint,
            "APP_ID": f"tests.{uuid.uuid4().hex}",
            "LUCAS_LOG": "5",
        },
        cwd=tmp_path_factory.mktemp(request.param),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["embedded"] == (request.param == "embedded")
    return request.param, found["results"]


@pytest.mark.parametrize("case", EXPECTED)
def test_every_engine_gives_the_right_result(engine, case):
    assert EXPECTED[case] == engine[1][case]


def test_a_function_is_called_outside_of_a_workflow(engine):
    assert engine[1]["direct"] == [2, FAILED.format(1)]


def test_lucas_own_client_works_over_our_context(engine):
    name, results = engine

    assert results["own"] == (
        None
        if name != "genuine"
        else [
            4,
            6,
            7,
            FAILED.format(5),
            "ParameterError, 'add' got 'c', which it does not take; it takes 'a', 'b'",
            8,
        ]
    )
