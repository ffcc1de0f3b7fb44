"""The example of a package with a format: installed, tested, and found by processes that do not import it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actorc.storage.testing import local_server

PACKAGE = Path(__file__).parents[2] / "examples" / "format_package"

pytestmark = pytest.mark.ecosystem

PUT = """
from array import array
from acme_audio import Recording
from lucas_storage import Storage
print(Storage().put(Recording(array("h", range(10_000)), 8000)).uri)
"""
GET = """
import sys
from lucas_storage import Storage
assert "acme_audio" not in sys.modules
found = Storage().get(sys.argv[1])
print(type(found).__name__, found.rate, len(found.samples), "acme_audio.wav_format" in sys.modules)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which pip has installed the package."""
    pytest.importorskip("hatchling", reason="it builds the package")
    target, source = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("source") / "package"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    subprocess.run(command, check=True, timeout=100)
    return target


def run(folder, installed, *command, **environment):
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_package_passes_its_own_tests(installed, tmp_path):
    shutil.copytree(PACKAGE / "tests", tmp_path / "tests")
    ran = run(tmp_path, installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_fresh_process_finds_the_format_by_the_reference(installed, tmp_path):
    with local_server() as server:
        endpoint = {"STORAGE_ENDPOINT": server.endpoint}
        put = run(tmp_path, installed, "-c", PUT, **endpoint)
        assert put.returncode == 0, put.stderr
        got = run(tmp_path, installed, "-c", GET, put.stdout.strip(), **endpoint)
        assert got.stdout.split() == ["Recording", "8000", "10000", "True"], got.stderr

        elsewhere = run(tmp_path, tmp_path, "-c", GET, put.stdout.strip(), **endpoint)
        assert "install the package that registers it" in elsewhere.stderr
