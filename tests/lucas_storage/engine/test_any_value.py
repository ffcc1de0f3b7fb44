"""Whatever values a workflow passes on, nested as they come: equal, of the same types, and each step's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lucas_storage
from actorc.controller.local import LocalController

ROOT = Path(lucas_storage.__file__).parents[1]
CASES = Path(__file__).with_name("any_value_cases.py")
ENGINES = {"embedded": "", "genuine": os.environ.get("LUCAS_SRC")}
KEY = {"LUCAS_STORAGE_SIGNING_KEY": "a signing key of tests"}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    if ENGINES[request.param] is None:
        pytest.skip("LUCAS_SRC names no checkout of genuine Lucas")
    return ENGINES[request.param]


def met(engine, storage_server, folder, examples, *styles, **more):
    done = subprocess.run(
        [sys.executable, str(CASES), str(examples), *styles],
        env={
            **os.environ,
            **KEY,
            **more,
            "PYTHONPATH": os.pathsep.join(filter(None, [engine, str(ROOT)])),
            "STORAGE_ENDPOINT": storage_server.endpoint,
            "LUCAS_STORAGE_CACHE": str(folder / "cache"),
            "LUCAS_LOG": "5",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert [f"right {style}" for style in styles] == done.stdout.splitlines(), done.stderr


@pytest.mark.thorough
def test_any_value_arrives_equal_and_is_the_steps_own(engine, storage_server, tmp_path):
    met(engine, storage_server, tmp_path, 100, "names", "rt", "dict")


@pytest.mark.thorough
def test_any_value_goes_through_the_actor_platform(engine, storage_server, tmp_path):
    app = f"tests.{tmp_path.name}"
    workers = {**KEY, "STORAGE_ENDPOINT": storage_server.endpoint, "LUCAS_STORAGE_CACHE": str(tmp_path / "workers")}
    with LocalController(app_ids=(app,), env={**workers, "PYTHONPATH": str(ROOT)}) as controller:
        met(
            engine,
            storage_server,
            tmp_path,
            60,
            "actor",
            IGNIS_ADDR=controller.address,
            APP_ID=app,
        )
