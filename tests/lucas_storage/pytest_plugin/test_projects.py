"""A project that has this package installed, and maybe uses it, under pytest in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COLLECT = """
import pytest, sys
code = pytest.main(["--collect-only", "-q", "-p", "lucas_storage"])
print(int(code), *sys.modules)
"""
OF_OURS = ("actorc", "lucas_storage", "lucas", "grpc", "google", "numpy", "msgspec", "cloudpickle")


def test_collecting_tests_imports_nothing_of_this_package_but_the_plugin(project, monkeypatch):
    (project / "conftest.py").unlink()
    (project / "test_pipeline.py").write_text("def test_nothing(): pass")
    # Without plugins of others, which may import what is looked for.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    said = subprocess.run([sys.executable, "-c", COLLECT], cwd=project, capture_output=True, text=True, check=True)
    code, *modules = said.stdout.splitlines()[-1].split()

    assert code == "0"
    assert "_lucas_storage_pytest" in modules
    assert [name for name in modules if name.startswith(OF_OURS)] == []


@pytest.mark.slow
def test_a_project_with_workflows_is_tested_without_lucas_and_without_a_server(fresh_pytest):
    done = fresh_pytest("-q", "-W", "error")

    assert "4 passed" in done.stdout, done.stdout


ONE_OF_SEVERAL = """
from lucas import Workflow, function, workflow


@function
def step(rt):
    return {number}


@workflow
def flow(wf: Workflow):
    return wf.call("step", {{}})
"""


@pytest.mark.slow
@pytest.mark.parametrize("lucas", ["", "LUCAS_SRC", "LUCAS_OLD"])
def test_a_workflow_gets_the_functions_of_its_own_module(fresh_pytest, project, lucas):
    if lucas and not os.environ.get(lucas):
        pytest.skip(f"{lucas} names no checkout of genuine Lucas")
    for number in (1, 2, 3):
        code = ONE_OF_SEVERAL.format(number=number)
        test = f"def test_it(run_workflow):\n    assert run_workflow(flow) == {number}\n"
        (project / f"module_{number}.py").write_text(code)
        (project / f"test_with_{number}.py").write_text(code + test)
        (project / f"test_of_{number}.py").write_text(f"from module_{number} import flow\n" + test)
    done = fresh_pytest("-q", *(path.name for path in project.glob("test_*_*.py")), path=[os.environ.get(lucas, "")])

    assert "6 passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_each_process_of_xdist_has_a_server_of_its_own(fresh_pytest, project):
    for number in range(3):
        (project / f"test_{number}.py").write_text((project / "test_pipeline.py").read_text())

    assert "16 passed" in fresh_pytest("-q", "-W", "error", "-n", "2").stdout


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["LUCAS_SRC", "LUCAS_OLD"])
def test_the_same_tests_pass_with_genuine_lucas(fresh_pytest, project, variable):
    if not os.environ.get(variable):
        pytest.skip(f"{variable} names no checkout of genuine Lucas")
    (project / "test_lucas.py").write_text(
        "def test_lucas():\n    import lucas\n    assert lucas.__name__ == 'lucas'\n"
    )
    done = fresh_pytest("-q", path=[os.environ[variable]])

    assert "5 passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_another_project_of_the_name_lucas_is_left_alone(fresh_pytest, project, tmp_path):
    other = tmp_path / "other"
    (other / "lucas").mkdir(parents=True)
    (other / "lucas" / "__init__.py").write_text("whose = 'theirs'")
    (project / "conftest.py").unlink()
    (project / "test_pipeline.py").write_text("import lucas\ndef test_it(): assert lucas.whose == 'theirs'")

    assert "1 passed" in fresh_pytest("-q", path=[str(other)]).stdout


@pytest.mark.slow
def test_the_plugin_can_be_turned_off(fresh_pytest):
    done = fresh_pytest("-q", "-p", "no:lucas_storage")

    assert "No module named 'lucas'" in done.stdout + done.stderr


@pytest.mark.slow
def test_fixtures_work_without_rewritten_assertions_and_when_plugins_are_named(fresh_pytest):
    done = fresh_pytest("-q", "--assert=plain", "-p", "lucas_storage", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")

    assert "4 passed" in done.stdout, done.stdout
