"""What readers and programs get of the rows: the table, the JSON, and the document."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.cases import Row

MACHINE = {
    "processor": "2 processors of Acme",
    "memory": "24 GiB",
    "file system": "ext4",
    "linux": "6.1",
    "versions": {"Python": "3.11.7", "grpcio": "1.80.0"},
}
ROWS = [
    Row(
        "get", "get_object", "TCP", "100 MiB/s", "90 - 110 MiB/s", "0.95", "≥ 0.9 x bare", met=True, seconds=(1.0, 2.0)
    ),
    Row("get", "bare", "", "105 MiB/s"),
    Row("put", "put_object", "TCP", "9 ms", target="≤ 8 ms", met=False),
]


def test_the_table_has_every_row_and_the_name_of_a_case_once():
    written = io.StringIO()

    report.print_table(ROWS, MACHINE, Console(file=written, width=200))

    text = written.getvalue()
    assert all(each in text for each in ("2 processors of Acme", "get_object", "100 MiB/s", "bare", "≤ 8 ms", "no"))
    assert text.count(" get ") == 1


def test_a_row_that_misses_stays_in_the_table_of_the_document():
    lines = report.markdown(ROWS).splitlines()

    assert lines[2].startswith("| get | get_object | TCP | 100 MiB/s | 90 - 110 MiB/s | 0.95 | ≥ 0.9 x bare | yes |")
    assert lines[4].startswith("| put | put_object | TCP | 9 ms | | | ≤ 8 ms | no |")


def test_the_summary_names_what_is_missed():
    assert report.summary(ROWS) == "1 of 2 targets are met; missed: put (TCP)"


def test_what_is_written_as_json_is_read_again(tmp_path):
    report.write_json(tmp_path / "new" / "results.json", ROWS, MACHINE)

    rows, machine = report.read_json(tmp_path / "new" / "results.json")

    assert [(row.what, row.how, row.met, tuple(row.seconds)) for row in rows] == [
        (row.what, row.how, row.met, row.seconds) for row in ROWS
    ]
    assert machine == MACHINE


def test_each_module_has_a_table_of_its_own_in_the_document_and_others_stay(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text(
        "<!-- machine -->\n<!-- end of machine -->\n"
        "<!-- small -->\nold\n<!-- end of small -->\n<!-- large -->\nkept\n<!-- end of large -->\n"
    )

    report.write_tables(document, [replace(row, module="small") for row in ROWS], MACHINE)

    text = document.read_text()
    assert "2 processors of Acme, 24 GiB, ext4, Linux 6.1; Python 3.11.7, grpcio 1.80.0.\n" in text
    assert "put_object" in text
    assert "old" not in text
    assert "<!-- large -->\nkept\n<!-- end of large -->\n" in text


def test_the_document_is_changed_between_its_markers_only(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n")

    report.write_between_markers(document, "table", "new")

    assert document.read_text() == "before\n<!-- table -->\nnew\n<!-- end of table -->\nafter\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- table -->\n",
        "<!-- end of table -->\n<!-- table -->\n",
        2 * "<!-- table -->\n<!-- end of table -->\n",
    ],
)
def test_a_document_without_both_markers_once_is_refused_and_left_alone(tmp_path, text):
    document = tmp_path / "performance.md"
    document.write_text(text)

    with pytest.raises(ValueError, match="put both where the table goes"):
        report.write_between_markers(document, "table", "new")

    assert document.read_text() == text
