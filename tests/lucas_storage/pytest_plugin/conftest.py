"""A sample project of somebody else, and pytest over it: in this process, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

import lucas_storage

ROOT = os.path.dirname(os.path.dirname(lucas_storage.__file__))  # noqa: PTH120

PIPELINE = """
from pathlib import Path

from lucas import Workflow, function, workflow
from lucas_storage import with_storage


@function
@with_storage
def clean(raw: Path) -> bytes:
    return raw.read_bytes().upper()


@function
@with_storage
def measure(data: bytes, storage) -> dict:
    return {"size": len(data), "bucket": storage.bucket}


@workflow
def report(wf: Workflow):
    return wf.call("measure", {"data": wf.call("clean", {"raw": wf.input()["raw"]})})
"""

TESTS = """
from actorc.storage import StorageClient
from lucas_storage import Storage
from lucas_storage.testing import call
from pipeline import clean, report


def test_a_workflow(run_workflow, storage, tmp_path):
    raw = tmp_path / "raw.txt"
    raw.write_text("text " * 20_000)
    assert run_workflow(report, {"raw": raw}) == {"size": 100_000, "bucket": storage.bucket}


def test_a_step(storage, tmp_path):
    raw = tmp_path / "raw.txt"
    raw.write_text("text")
    assert call(clean, raw) == call(clean, raw=storage.put(raw)) == b"TEXT"


def test_a_client(storage):
    with StorageClient() as client, Storage() as other:
        client.put_object(storage.bucket, "key", b"value")
        assert other.bucket == storage.bucket
        assert storage.get_object(storage.bucket, "key") == b"value"


def test_the_server(storage_server):
    with storage_server.client() as client:
        assert client.put_object("any-bucket", "key", b"value")["size"] == 5
"""


@pytest.fixture
def project(tmp_path):
    """A folder with a workflow and tests of it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "test_pipeline.py").write_text(TESTS)
    # imported before any test module
    (folder / "conftest.py").write_text("from lucas import Workflow\n")
    return folder


@pytest.fixture
def fresh_pytest(project, tmp_path):
    """Run pytest over the project in a process of its own, with packages first on its path; return the process."""

    def run(*arguments, python=(), path=(), **environment):
        return subprocess.run(
            [sys.executable, *python, "-m", "pytest", f"--basetemp={tmp_path / 'base'}", *arguments],
            cwd=project,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*path, ROOT, str(project)]), **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


class Outcomes:
    """Counts the tests of a run that passed, and keeps what the others say."""

    def __init__(self):
        self.passed = 0
        self.others = []

    def pytest_runtest_logreport(self, report):
        if report.passed:
            self.passed += report.when == "call"
        else:
            self.others.append(f"{report.nodeid} {report.when}\n{report.longreprtext}")


@pytest.fixture
def passed(tmp_path, monkeypatch):
    """Run tests, given as code, within this process; all of them must pass.

    Not by pytester, which forgets the modules that were imported within, so that classes exist twice afterwards.
    """

    def run(code, count):
        file = tmp_path / "inner" / "test_inner.py"
        file.parent.mkdir()
        file.write_text(textwrap.dedent(code))
        monkeypatch.chdir(file.parent)
        outcomes, before = Outcomes(), set(sys.modules)
        options = ["-q", "-p", "no:cacheprovider", "-W", "error", "--import-mode=importlib", f"--rootdir={file.parent}"]
        pytest.main([*options, f"--basetemp={tmp_path / 'base'}", str(file)], plugins=[outcomes])
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) == str(file):
                del sys.modules[name]

        assert outcomes.others == []
        assert outcomes.passed == count

    return run
