"""The table of Lucas's scripts in docs/compatibility.md, as it was written; with LUCAS_SRC, some of it is run again."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("lucas_scripts", Path(__file__).with_name("lucas_scripts.py"))
lucas_scripts = importlib.util.module_from_spec(_spec)
sys.modules["lucas_scripts"] = lucas_scripts  # dataclasses look their module up
_spec.loader.exec_module(lucas_scripts)

LUCAS_SRC = os.environ.get("LUCAS_SRC")
SECTION = lucas_scripts.DOCUMENT.read_text().split(lucas_scripts.BEGIN)[1].split(lucas_scripts.END)[0]
ROWS = SECTION.split("| --- | --- | --- | --- |\n")[1].strip().splitlines()
TABLE = [lucas_scripts.cells(row) for row in ROWS]


def test_every_row_says_what_became_of_one_script_on_both_engines():
    assert lucas_scripts.HEADER in SECTION
    assert [
        row for row, cells in zip(ROWS, TABLE, strict=True) if len(cells) != 4 or not cells[2] or not cells[3]
    ] == []
    assert len({name for name, *_ in TABLE}) == len(TABLE) > 80
    assert {platform for _, platform, *_ in TABLE} == {"", "local-once", "actor", "cluster"}


def test_no_script_runs_on_genuine_lucas_alone_but_those_of_its_cluster():
    lost = [
        name
        for name, platform, genuine, embedded in TABLE
        if genuine in lucas_scripts.GOOD and embedded != genuine and platform != "cluster"
    ]

    assert lost == []


def test_scripts_of_the_cluster_say_that_they_need_genuine_lucas():
    said = {embedded for _, platform, _, embedded in TABLE if platform == "cluster"}

    assert said == {lucas_scripts.NEEDS_LUCAS}


def test_the_totals_are_those_of_the_rows():
    assert lucas_scripts.totals(ROWS) in SECTION


@pytest.mark.skipif(not LUCAS_SRC, reason="LUCAS_SRC names no checkout of genuine Lucas")
def test_the_table_has_every_script_of_the_checkout():
    names = [f"`{script.name}`" for script in lucas_scripts.scripts(Path(LUCAS_SRC))]

    assert [name for name, *_ in TABLE] == names


@pytest.mark.slow
@pytest.mark.skipif(not LUCAS_SRC, reason="LUCAS_SRC names no checkout of genuine Lucas")
@pytest.mark.parametrize("name", ["demo/workflow/index.py", "demo/customfunc/index.py", "demo/cluster/function.py"])
def test_a_script_runs_on_the_embedded_engine_as_the_table_says(name):
    (script,) = [each for each in lucas_scripts.scripts(Path(LUCAS_SRC)) if each.name == name]
    expected = next(embedded for cell, _, _, embedded in TABLE if cell == f"`{name}`")

    assert lucas_scripts.run(script, Path(LUCAS_SRC), genuine=False).said == expected
