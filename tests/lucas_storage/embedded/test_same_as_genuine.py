"""The embedded engine and genuine Lucas, each in a process of its own, give the same results.

Genuine Lucas loops for ever in the cases it does wrong, so it runs under a time limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lucas_storage.embedded

ROOT = Path(lucas_storage.embedded.__file__).parents[2]
CASES = Path(__file__).with_name("same_cases.py")
LUCAS_SRC = os.environ.get("LUCAS_SRC")

needs_genuine_lucas = pytest.mark.skipif(not LUCAS_SRC, reason="LUCAS_SRC names no checkout of genuine Lucas")


def printed(arguments: list[str], folder: Path, path: list[str]) -> str:
    """Return what Python prints in a fresh process; the last line, for genuine Lucas prints too."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={
            **{name: value for name, value in os.environ.items() if name != "provider"},
            "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]),
            "LOCAL_STORAGE_DIR": str(folder / "values"),
            "LUCAS_LOG": "5",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the results of the embedded engine, by case."""
    folder = tmp_path_factory.mktemp("embedded")
    results: dict[str, Any] = json.loads(printed(["-W", "error", str(CASES), "embedded"], folder, []))
    return results


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the results of genuine Lucas, by case."""
    # Lucas uses deprecated parts of pydantic, so its warnings are no errors.
    folder = tmp_path_factory.mktemp("genuine")
    results: dict[str, Any] = json.loads(printed([str(CASES), "genuine"], folder, [str(LUCAS_SRC)]))
    return results


def test_the_embedded_engine_gets_through_all_cases(embedded: dict[str, Any]) -> None:
    assert embedded["reruns"] == [{"a": n * 10, "b": n} for n in (1, 5, 2)]
    assert embedded["nones"] == [{"made": None, "constant": None, "given": None}, None]


@needs_genuine_lucas
def test_both_engines_give_the_same_results(embedded: dict[str, Any], genuine: dict[str, Any]) -> None:
    assert genuine == embedded


@needs_genuine_lucas
def test_a_value_that_genuine_lucas_loses_is_refused_before_any_step_runs(tmp_path: Path) -> None:
    code = """
from lucas import function, workflow
from lucas_storage.executor import StorageExecutor
ran = []
@workflow(executor=StorageExecutor)
def main(wf):
    made = wf.func(ran.append, 1)
    return wf.func(lambda left, right: None, left=made, right=made)
try:
    main.export()({})
except ValueError as error:
    print(ran, error)
"""
    said = printed(["-c", code], tmp_path, [str(LUCAS_SRC)])

    assert said.startswith("[] The step '<lambda>' is given one value for several parameters")


@needs_genuine_lucas
def test_what_a_step_adds_after_its_run_failed_is_not_in_the_next_run_of_genuine_lucas(tmp_path: Path) -> None:
    code = """
import threading
from lucas import function, workflow
from lucas_storage.executor import StorageExecutor
started, release, failing = threading.Event(), threading.Event(), [True]
@function
def late(rt):
    return rt.input()["x"]
@workflow(executor=StorageExecutor)
def main(wf):
    def adds_late(n):
        started.set()
        release.wait()
        return wf.call("late", {"x": n})
    def fails(n):
        started.wait()
        if failing:
            raise ValueError(failing.pop())
    i = wf.input()
    return wf.func(lambda *made: list(made), wf.func(adds_late, i["n"]), wf.func(fails, i["n"]))
run, nodes = main.export(), main.generate().dag.nodes
built = list(nodes)
try:
    run({"n": 1})
except ValueError:
    release.set()
    print([run({"n": 2}), run({"n": 3})], nodes == built)
"""
    assert printed(["-c", code], tmp_path, [str(LUCAS_SRC)]) == "[[2, None], [3, None]] True"


@needs_genuine_lucas
def test_install_leaves_genuine_lucas_alone(tmp_path: Path) -> None:
    code = "from lucas_storage.embedded import install\nprint(install())\nimport lucas\nprint(lucas.__name__)"

    assert printed(["-c", code], tmp_path, [str(LUCAS_SRC)]) == "lucas"
