"""Resuming: a run that failed or was killed goes on with the results of the steps that had ended."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from lucas_storage import run, settings, storage_context, with_storage
from lucas_storage.embedded import function, workflow

calls = []


class Model:
    """A class that no format but pickle holds."""

    def __init__(self, weight):
        self.weight = weight


@pytest.fixture(autouse=True)
def _nothing_called(empty_registry):
    calls.clear()


@pytest.fixture
def resuming(settings):
    with storage_context(resume=True):
        yield


@pytest.mark.parametrize("first", [None, True])
def test_a_run_that_failed_is_resumed(settings, capsys, first):
    @function
    @with_storage
    def double(x):
        calls.append(x)
        return 2 * x

    @function
    @with_storage
    def fail(x):
        if len(calls) < 2:
            calls.append("failed")
            raise InterruptedError
        return x

    @workflow
    def flow(wf):
        return wf.call("fail", {"x": wf.call("double", {"x": wf.input()["x"]})})

    with storage_context(resume=first), pytest.raises(InterruptedError):
        run(flow, {"x": 1})
    first_said = capsys.readouterr().err
    with storage_context(resume=True):
        value = run(flow, {"x": 1})

    assert (value, calls) == (2, [1, "failed"])
    assert first_said == ("lucas-storage: 0 of 2 steps reused, 2 executed\n" if first else "")
    assert capsys.readouterr().err == "lucas-storage: 1 of 2 steps reused (double), 1 executed\n"


def test_a_function_may_change_what_it_was_given(settings):
    @function
    @with_storage
    def add(xs):
        calls.append(0)
        xs.append(1)
        return sum(xs)

    @workflow
    def flow(wf):
        return wf.call("add", {"xs": wf.input()["xs"]})

    first = run(flow, {"xs": [1]})
    with storage_context(resume=True):
        values = [run(flow, {"xs": [1]}), run(flow, {"xs": [1, 1]})]

    assert (first, values, len(calls)) == (2, [2, 3], 2)


def test_what_is_resumed_is_the_last_run(settings):
    @function
    @with_storage(version="1")
    def fetch(url):
        calls.append(url)
        return len(calls)

    @workflow
    def flow(wf):
        return wf.call("fetch", {"url": wf.input()["url"]})

    values = [run(flow, {"url": "u"}), run(flow, {"url": "u"})]
    with storage_context(resume=True):
        values.append(run(flow, {"url": "u"}))
    with storage_context(resume=False):
        values.append(run(flow, {"url": "u"}))
    with storage_context(resume=True):
        values.append(run(flow, {"url": "u"}))

    assert values == [1, 2, 2, 3, 2]


def test_a_step_that_cannot_be_kept_runs_with_one_warning(resuming, caplog):
    @with_storage
    def train(model):
        calls.append(model.weight)
        return model.weight

    assert [train(model=Model(1)), train(model=Model(1))] == [1, 1]
    assert calls == [1, 1]
    assert caplog.text.count("this step runs every time") == 1


def test_the_wish_to_resume_is_shipped(monkeypatch):
    from lucas_storage.settings import shipped_policy

    options = {"store": None, "inline_max": None, "pickle": None}
    monkeypatch.setenv("LUCAS_STORAGE_RESUME", "1")

    assert shipped_policy(options)["resume"] is True
    assert settings.of_step().resume


PIPELINE = """
import os, signal, sys, time
import numpy as np
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo
from lucas import Workflow, function, workflow
from lucas_storage import run, with_storage

@function
@with_storage
def first(n):
    Path("log").open("a").write("first\\n")
    return np.arange(n)

@function
@with_storage
def second(x):
    Path("log").open("a").write("second\\n")
    return x * 2

@function
@with_storage
def third(x, storage):
    Path("log").open("a").write("third\\n")
    if os.environ.get("CRASH"):
        # Records are written beside the steps; a kill may cost the last ones.
        while len(list(storage.iter_objects(storage.bucket, "memo/"))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return int(x.sum())

@workflow
def flow(wf: Workflow):
    return wf.call("third", {"x": wf.call("second", {"x": wf.call("first", {"n": wf.input()["n"]})})})

print(run(flow, {"n": 10_000}))
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_was(environment, tmp_path):
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    command = [sys.executable, "-m", "lucas_storage.cli", "run", "pipeline.py"]

    def attempt(**more):
        given = environment(**more)
        return subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False, timeout=60)

    killed, resumed = attempt(CRASH="1"), attempt(LUCAS_STORAGE_RESUME="1")

    assert killed.returncode == -signal.SIGKILL
    assert (resumed.returncode, resumed.stdout) == (0, "99990000\n"), resumed.stderr
    assert "lucas-storage: 2 of 3 steps reused (first, second), 1 executed\n" in resumed.stderr
    assert (tmp_path / "log").read_text().split() == ["first", "second", "third", "third"]
