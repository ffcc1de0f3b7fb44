"""What a visitor sees first agrees with what is built: versions, Pythons, the commands of continuous integration."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

pytestmark = pytest.mark.ecosystem

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(path):
    return yaml.safe_load(path.read_text())


def steps_of(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_a_citation_names_the_version_and_the_licence_of_the_package():
    cited = read(ROOT / "CITATION.cff")

    assert (cited["version"], cited["license"]) == (PROJECT["version"], PROJECT["license"])
    assert cited["authors"] == PROJECT["authors"]


def test_the_quick_tests_run_on_every_python_that_is_stated():
    stated = re.findall(r"'Programming Language :: Python :: (3\.\d+)'", repr(PROJECT["classifiers"]))
    matrix = read(ROOT / ".github/workflows/tests.yml")["jobs"]["quick"]["strategy"]["matrix"]

    assert matrix["python"] == stated


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_targets_that_there_are_and_leaves_no_right_in_reach(path):
    workflow = read(path)
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step.get("run", "") for step in steps_of(workflow)]
    listed = [
        target
        for job in workflow["jobs"].values()
        for targets_of_job in job.get("strategy", {}).get("matrix", {}).get("target", [])
        for target in targets_of_job.split()
    ]
    called = {name for command in commands for name in re.findall(r"make ([a-z0-9-]+)", command)} | set(listed)

    assert called <= targets
    assert workflow["permissions"] in ({}, {"contents": "read"})
    checkouts = [step for step in steps_of(workflow) if step.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_every_job_ends_by_itself():
    jobs = [job for path in WORKFLOWS for job in read(path)["jobs"].values()]

    assert all(job["timeout-minutes"] <= 60 for job in jobs)
