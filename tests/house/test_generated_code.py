from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def generated(root):
    folder = root / "actorc" / "_generated"
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*.py*"))
        if path.suffix != ".pyc"
    }


@pytest.mark.thorough
def test_the_committed_generated_code_is_what_the_protos_give(tmp_path):
    runpy.run_path(str(ROOT / "protos" / "generate.py"))["generate"](tmp_path)

    assert generated(ROOT) == generated(tmp_path)
