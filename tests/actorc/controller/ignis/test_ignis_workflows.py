"""Workflows on ignis, its double and, where it was started, the genuine one: each answer is right, or an error."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from actorc.storage.testing import local_server
from tests.actorc.controller.ignis.ignis_double import Ignis

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
CASES = Path(__file__).with_name("ignis_cases.py")
LUCAS = os.environ.get("LUCAS_SRC")
ENGINES = {"embedded": "", "genuine": LUCAS, "older": os.environ.get("LUCAS_OLD")}
FAILED = "RemoteFunctionError, 'picky' raised ValueError on its worker, below zero"
WORKER_STORAGE = os.environ.get("IGNIS_GENUINE_STORAGE", "127.0.0.1:9000")
"""The STORAGE_ENDPOINT that the genuine ignis was started with, or else the default; a server starts there."""

EXPECTED = {
    "step": 3,
    "chain": 30,
    "fan": [1, 2, 3, 4, 5],
    "diamond": [[2, 1], [1, 2]],
    "parameterless": [7, 7],
    "failing": [FAILED, 1, FAILED, FAILED, 2, 3],
    "names": 1,
    "at once": [10 * (x + 2) for x in range(16)],
}


def run(folder, *command, address, lucas="", **environment):
    """Run a program beside the platform and return what it printed."""
    done = subprocess.run(
        [sys.executable, *command],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [lucas, str(ROOT)])),
            "IGNIS_ADDR": address,
            "MASTER_ADDR": address,
            "APP_ID": f"tests.{uuid.uuid4().hex}",
            "LUCAS_LOG": "5",
            **environment,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=ENGINES)
def found(request, ignis, storage_server, tmp_path_factory):
    """What our client makes of all cases, on each engine that is at hand."""
    lucas = ENGINES[request.param]
    if lucas is None:
        pytest.skip("no checkout of this Lucas is named")
    command, there = (
        [CASES, "ours", *EXPECTED],
        {"address": ignis, "lucas": lucas, "STORAGE_ENDPOINT": storage_server.endpoint},
    )
    printed = run(tmp_path_factory.mktemp("cases"), *command, **there)
    return json.loads(printed.splitlines()[-1])


@pytest.mark.parametrize("case", EXPECTED)
def test_a_workflow_gives_its_answer_or_an_error(found, case):
    assert found[case] == EXPECTED[case]


def test_what_ignis_tells_nobody_is_an_error_that_names_the_function_and_the_other_calls_work(ignis, tmp_path):
    cases = ["undeployed", "ended", "object", "step"]
    found = json.loads(run(tmp_path, CASES, "ours", *cases, address=ignis, IGNIS_CALL_TIMEOUT="2").splitlines()[-1])

    assert found["undeployed"].startswith("ControllerTimeoutError, 'lacking' did not return within 2 seconds")
    assert "'no-such-thing-0123' may not have come about" in found["undeployed"]
    assert found["ended"].startswith("ControllerTimeoutError, 'ending' did not return within 2 seconds")
    assert found["object"].startswith("ControllerTimeoutError, 'counter' did not return within 2 seconds")
    assert "It is an object, and ignis drops the definitions of their classes" in found["object"]
    assert found["step"] == EXPECTED["step"]


@pytest.mark.skipif(not LUCAS, reason="LUCAS_SRC names no checkout of Lucas")
def test_genuine_lucas_with_its_own_client_gives_the_same(ignis, tmp_path):
    own = ["step", "chain"]  # what that client can do on ignis; it waits for ever in the others
    printed = run(tmp_path, CASES, "own", *own, address=ignis, lucas=LUCAS)

    assert json.loads(printed.splitlines()[-1]) == {case: EXPECTED[case] for case in own}


@pytest.fixture(params=["a double of ignis", "the genuine ignis"])
def stored(request):
    """The platform, and a server whose objects its workers reach without being told by the script."""
    if request.param == "a double of ignis":
        with local_server() as server, Ignis(STORAGE_ENDPOINT=server.endpoint) as double:
            yield double.address, server
        return
    if "IGNIS_GENUINE" not in os.environ:
        pytest.skip("the genuine ignis was not met: IGNIS_GENUINE does not name its address")
    with local_server(listen=WORKER_STORAGE) as server:
        yield os.environ["IGNIS_GENUINE"], server


AROUND_THE_WORKFLOW = """

def process_data(data):
    return data.upper()


StorageClient().put_object("input-data", "raw/data.csv", b"a,b\\n1,2\\n")
print([data_pipeline.export()({}) for _ in range(2)])
"""


def test_the_workflow_of_the_specification_runs_on_ignis_as_printed(stored, tmp_path):
    address, server = stored
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "specification.zh.md").read_text(), re.DOTALL)
    (workflow,) = [block for block in blocks if "actorc.controller" in block]
    (tmp_path / "script.py").write_text(workflow + AROUND_THE_WORKFLOW)

    command = ["-m", "lucas_storage.cli", "run", "script.py"]
    printed = run(tmp_path, *command, address=address, STORAGE_ENDPOINT=server.endpoint)

    assert printed == f"{[{'status': 'success', 'output_key': 'processed/data.parquet'}] * 2}\n"
    with server.client() as client:
        assert client.get_object("processed-data", "processed/data.parquet") == b"A,B\n1,2\n"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("actor_pipeline.py", ["success, in another process: True", "48 months"]),
        ("actor_replicas.py", ["a wet day brings 6.", "1 processes found"]),  # a venv of ignis is one process
    ],
)
def test_an_example_for_the_platform_runs_on_ignis(stored, tmp_path, example, says):
    address, server = stored
    folder = shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("output"))

    command = ["-m", "lucas_storage.cli", "run", str(folder / example)]
    printed = run(tmp_path, *command, address=address, STORAGE_ENDPOINT=server.endpoint)

    assert [text for text in says if text not in printed] == []
