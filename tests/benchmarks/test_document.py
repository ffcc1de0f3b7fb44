"""The document of the benchmarks has a place for each of their tables."""

from __future__ import annotations

from pathlib import Path

from benchmarks.__main__ import MORE, QUICK

ROOT = Path(__file__).parents[2]


def test_every_module_of_rows_is_run_and_has_a_table_in_the_document():
    modules = {path.stem for path in Path(ROOT, "benchmarks", "rows").glob("*.py")} - {"__init__"}
    text = Path(ROOT, "docs", "performance.md").read_text()

    assert modules == {*QUICK, *MORE}
    assert [name for name in modules if f"<!-- {name} -->\n" not in text or f"<!-- end of {name} -->" not in text] == []
