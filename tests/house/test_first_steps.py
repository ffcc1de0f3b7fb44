"""The first steps of the README run as a new user runs them: in plain Python, in a notebook and in pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.slow


def first_steps():
    """Return the blocks of the section: of the workflow, of plain Python, of a notebook and of pytest."""
    text = (ROOT / "README.md").read_text().partition("## First steps")[2].partition("\n## ")[0]
    return [BLOCK.findall(part) for part in text.split("\n**In ")]


@pytest.fixture
def folder(tmp_path):
    (workflow,) = first_steps()[0]
    (tmp_path / "greeting.py").write_text(workflow)
    return tmp_path


@pytest.fixture
def environment(folder):
    """That of a user who has set nothing, with directories of this test's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("STORAGE_", "LUCAS_"))}
    directories = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "IPYTHONDIR"), str(folder / "home"))
    return {**inherited, **directories, "LUCAS_STORAGE_RUN_PORT": "0"}


def test_each_has_three_blocks_of_three_lines():
    _, *ways = first_steps()

    assert [len(blocks) for blocks in ways] == [3, 3, 3]
    assert {len(list(filter(None, block.splitlines()))) for blocks in ways for block in blocks} == {3}


def test_in_plain_python_they_run_without_a_warning(folder, environment):
    _, plain, _, _ = first_steps()
    (folder / "first.py").write_text("\n".join(plain))
    command = [sys.executable, "-W", "error", "first.py"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    stored, result = ran.stdout.splitlines()

    assert "'hello.txt'" in stored
    assert (result, ran.stderr) == ("HELLO", "")


def test_in_a_notebook_every_cell_runs(folder, environment, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    _, _, cells, _ = first_steps()
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output["data"]["text/plain"] for cell in notebook.cells for output in cell.outputs]

    assert "'hello.txt'" in shown[0]
    assert shown[1:] == ["'HELLO'"]


def test_in_pytest_all_three_pass(folder, environment):
    (folder / "test_greeting.py").write_text("\n".join(first_steps()[3]))
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", f"--basetemp={folder}/t"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr
