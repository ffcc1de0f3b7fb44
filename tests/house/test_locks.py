"""The locks have what pyproject.toml declares, on every Python stated, and name no place to fetch it from."""

from __future__ import annotations

import re
import runpy
import sys
import sysconfig
import tomllib
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
EXTRAS = {name: name for name in ("test", "dev", "bench", "ecosystem", "browser", "docs")} | {
    "demo": "examples",
    "lowest": "test",
}
STATED = ("3.11", "3.12", "3.13", "3.14")
MACHINES = [("linux", "x86_64"), ("darwin", "arm64")]
VERSIONS = runpy.run_path(str(REQUIREMENTS / "versions.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

environments = pytest.mark.parametrize(
    "environment",
    [
        {
            "python_version": python,
            "python_full_version": f"{python}.9",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "sys_platform": system,
            "platform_system": system.title(),
            "platform_machine": machine,
            "os_name": "posix",
        }
        for python in (*STATED, "3.14")
        for system, machine in MACHINES
    ],
    ids=lambda each: "-".join([each["python_version"], each["sys_platform"], each["platform_machine"]]),
)
locks = pytest.mark.parametrize("lock", EXTRAS)


def build_requirements():
    lines = (REQUIREMENTS / "build.in").read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def pinned(lock, environment=None):
    """Return the version of each package that this lock installs there."""
    found = defaultdict(set)
    for pin in VERSIONS["pins"](lock):
        if not pin.marker or pin.marker.evaluate(environment):
            found[pin.name].add(str(pin.specifier).removeprefix("=="))
    assert [name for name, several in found.items() if len(several) > 1] == []
    return {name: only for name, (only,) in found.items()}


@locks
@environments
def test_a_lock_has_one_version_of_each_package_that_is_declared_and_the_ranges_allow_it(lock, environment):
    locked = pinned(lock, environment)
    required = [*VERSIONS["declared"](EXTRAS[lock]), *build_requirements()]
    wrong = [
        str(each)
        for each in required
        if (not each.marker or each.marker.evaluate(environment))
        and not each.specifier.contains(locked.get(canonicalize_name(each.name), "0.dev0"))
    ]

    assert wrong == [], "run 'make locks'"


@environments
def test_demo_tests_and_contributors_have_the_same_versions(environment):
    demo, tests, contributors = (pinned(lock, environment) for lock in ("demo", "test", "dev"))

    assert demo.items() <= tests.items() <= contributors.items()
    assert tests.items() <= pinned("ecosystem", environment).items()


@pytest.mark.parametrize("declared", [*VERSIONS["declared"]("test"), *build_requirements()], ids=str)
def test_the_lowest_versions_are_those_that_the_ranges_begin_with(declared):
    (floor,) = [Version(each.version) for each in declared.specifier if each.operator == ">="]
    lowest = Version(pinned("lowest")[canonicalize_name(declared.name)])

    assert lowest >= floor
    assert lowest.release[: len(floor.release)] == floor.release, "no release has that version; name the first there is"


@locks
def test_each_pin_has_hashes(lock):
    entries = re.split(r"^(?=\S)", (REQUIREMENTS / f"{lock}.txt").read_text(), flags=re.MULTILINE)
    without = [each for each in entries if each and not each.startswith("#") and "--hash=sha256:" not in each]

    assert without == []


@locks
def test_a_lock_names_no_index_host_or_file(lock):
    text = (REQUIREMENTS / f"{lock}.txt").read_text().replace("    --hash=", "")
    place = re.compile(r"://|^ *-[-\w]+|^.* @ |/(?:home|root|tmp|opt|Users)\b", re.MULTILINE)

    assert place.findall(text) == []


def test_what_builds_the_package_is_locked_as_it_is_declared():
    declared = {str(Requirement(each)) for each in PROJECT["build-system"]["requires"]}

    assert declared <= {str(each) for each in build_requirements()}


def test_the_pythons_that_are_stated_are_those_that_are_locked():
    prefix = "Programming Language :: Python :: 3."
    stated = [each for each in PROJECT["project"]["classifiers"] if each.startswith(prefix)]
    supported = runpy.run_path(str(REQUIREMENTS / "supported.py"))

    assert tuple(each.rpartition(" ")[2] for each in stated) == STATED
    assert PROJECT["project"]["requires-python"] == f">={STATED[0]}", "there is no upper bound"
    assert ".".join(map(str, supported["OLDEST"])) == STATED[0]
    assert runpy.run_path(str(REQUIREMENTS / "lock.py"))["OLDEST"] == STATED[0]


def test_a_python_that_is_too_old_is_told_which_is_needed(monkeypatch):
    complaint = runpy.run_path(str(REQUIREMENTS / "supported.py"))["complaint"]
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))

    assert "is Python 3.10, and 3.11 or newer is needed" in complaint("")


def test_a_python_without_the_global_lock_is_told_that_it_is_not_supported(monkeypatch):
    complaint = runpy.run_path(str(REQUIREMENTS / "supported.py"))["complaint"]
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)

    assert "is free-threaded, for which gRPC has no wheels" in complaint("")


def test_a_python_other_than_that_of_the_environment_is_not_taken_for_it(tmp_path):
    complaint = runpy.run_path(str(REQUIREMENTS / "supported.py"))["complaint"]
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.9.2\n")
    here = ".".join(map(str, sys.version_info[:2]))

    assert f"was made with Python 3.9, and {here} is chosen" in complaint(str(tmp_path))
    assert complaint(str(tmp_path / "none")) is None


def test_a_package_that_moved_is_named_with_its_versions():
    moved, locked, here = VERSIONS["moved"](), pinned("test")["pytest"], version("pytest")

    assert (f"pytest {locked} -> {here}" in moved) == (here != locked)


def test_the_document_has_the_versions_that_are_locked():
    lines = (ROOT / "docs" / "compatibility.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    header, _, *rows = [row for row in table if len(row) == 5]

    assert header == [cell.strip() for cell in VERSIONS["HEADER"].strip("|").split("|")]
    assert [tuple(row[:4]) for row in rows] == list(VERSIONS["rows"]()), "run 'make compatibility'"
    older = [row[0] for row in rows if Version(row[4]) < max(map(Version, row[3].split(", ")))]
    assert older == [], "run 'make compatibility'"


@pytest.mark.thorough
@pytest.mark.timeout(600)  # an index may be far away
def test_the_locks_are_what_the_declarations_give(tmp_path):
    runpy.run_path(str(REQUIREMENTS / "lock.py"))["lock"](tmp_path)

    for lock in [*EXTRAS, "pip"]:
        assert (tmp_path / f"{lock}.txt").read_text() == (REQUIREMENTS / f"{lock}.txt").read_text(), lock
