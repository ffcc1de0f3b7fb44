"""The notebooks among the examples: they run from the first cell to the last, and are kept without outputs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs_and_numbers(path):
    cells = json.loads(path.read_text())["cells"]

    assert len(cells) > 5
    for cell in cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.fixture
def first_steps(notebook, tmp_path):
    """Text, HTML and error of each cell of the notebook, by its first line."""
    shutil.copytree(EXAMPLES / "data", tmp_path / "data")
    cells = json.loads((EXAMPLES / "first_steps.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [(source.splitlines()[0], notebook(source)) for source in sources]


@pytest.mark.ecosystem
@pytest.mark.filterwarnings("ignore")  # libraries of Jupyter warn of their own next versions
def test_the_first_steps_do_as_their_notebook_says(first_steps):
    failed = [(line, shown.error) for line, shown in first_steps if shown.error]
    shown = dict(first_steps)

    assert len(failed) == 1
    assert "ValueError: no month is hot, the warmest has 26." in failed[0][1]
    assert "File " not in failed[0][1]
    assert "notes/hello.txt" in first_steps[1][1].html
    assert first_steps[2][1].text == "b'Hello, storage!'"
    assert first_steps[3][1].text == "47838"
    assert "data:image/png;base64," in shown['refs["chart"]'].html
    assert "<svg" in shown["last_run()"].html
    assert re.search(r"hottest.*failed · ValueError", shown["last_run()"].html, re.DOTALL)
    reused = next(each for line, each in reversed(first_steps) if line.startswith("run(report"))
    assert "2 succeeded, 1 reused" in reused.html
