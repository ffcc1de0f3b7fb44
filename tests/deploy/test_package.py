"""The package as an index has it: built from what is here, and installed where nothing else of the project is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "from hatchling.build import build_{kind} as build; print(build({target!r}))"
TRIAL = """
import actorc.storage, lucas_storage
from actorc.storage.testing import local_server

with local_server() as server, server.client() as client:
    client.put_object("my-bucket", "key", b"value")
    print(client.get_object("my-bucket", "key"), actorc.storage.__file__, lucas_storage.__version__)
"""

pytestmark = pytest.mark.slow


def run(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(kind, source, target):
    name = run(sys.executable, "-c", BUILD.format(kind=kind, target=str(target)), cwd=source).splitlines()[-1]
    return target / name


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    pytest.importorskip("hatchling", reason="it builds the package")
    if not (ROOT / ".git").exists():
        pytest.skip("only a checkout tells which files are the project's")
    clone = tmp_path_factory.mktemp("clone")
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone, cwd="/")
    return built("sdist", clone, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return built("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_a_wheel_that_is_built_from_the_source_archive_works_in_an_empty_directory(wheel, tmp_path):
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=tmp_path)
    python, (packages,) = tmp_path / "venv/bin/python", tmp_path.glob("venv/lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # What it needs comes from here, and the package itself does not: files of paths are not followed there.
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    empty = tmp_path / "empty"
    empty.mkdir()

    printed = run(python, "-c", TRIAL, cwd=empty)
    said = run(python, "-m", "lucas_storage", "--help", cwd=empty)

    assert printed.startswith(f"b'value' {packages}")
    assert "Usage:" in said


def test_the_source_archive_has_what_its_readers_look_for(sdist):
    with tarfile.open(sdist) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}

    wanted = {"README.md", "README.zh-CN.md", "LICENSE", "SECURITY.md", "CHANGELOG.md", "CITATION.cff", "Makefile"}
    assert wanted <= names
    assert {name for name in names if name.startswith("tests/")}


def test_a_wheel_has_the_messages_for_clients_in_other_languages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".proto"))
        text = archive.read(name).decode()

    assert name.endswith(".data/data/share/lucas-storage/protos/ignis/storage/v1/storage.proto")
    assert text == (ROOT / "protos/ignis/storage/v1/storage.proto").read_text()


def test_the_page_of_the_package_has_no_link_that_leads_nowhere_there(metadata):
    page = metadata.get_payload()

    assert page.startswith("# lucas-storage")
    assert [target for target in re.findall(r"\]\(([^)]*)\)", page) if not target.startswith("https:")] == []
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Author"] == "The lucas-storage contributors"
