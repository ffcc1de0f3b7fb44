"""How two contents differ: what is told of each kind, and that strangers' contents cost a bounded effort."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from lucas_storage.lineage.differences import json_values, texts
from lucas_storage.lineage.differences.content import content_difference
from lucas_storage.lineage.differences.difference import Change
from lucas_storage.refs import ArtifactRef, inline_ref


class Model:
    """A class whose pickle leaves a trace when it is loaded."""

    def __init__(self, size=0):
        self.size = size

    def __reduce__(self):
        return os.mkdir, ("canary" * (1 + self.size),)


def differ(storage, before, after, **options):
    found = content_difference(storage, storage.put(before, **options), storage.put(after, **options))
    json.dumps(found.to_json(), allow_nan=False)
    return found


def told(found):
    return [(change.place, change.before, change.after) for change in found.changes if change.place != "size"]


def test_of_texts_the_changed_lines_are_told_with_their_numbers(storage):
    lines = [f"line {at}" for at in range(100)]
    changed = [*lines[:50], "another", *lines[51:]]

    found = differ(storage, "\n".join(lines), "\n".join(changed))

    assert found.lines[0] == "@@ -48,7 +48,7 @@"
    assert [line for line in found.lines if line[0] in "+-"] == ["-line 50", "+another"]


def test_a_change_at_the_beginning_and_at_the_end_are_two_hunks():
    lines = [str(at) for at in range(100)]

    found = texts.changed_lines("\n".join(["a", *lines, "b"]), "\n".join(["c", *lines, "d"]))

    assert [line for line in found if line.startswith("@@")] == ["@@ -1,4 +1,4 @@", "@@ -99,4 +99,4 @@"]


def test_texts_of_very_many_different_lines_are_not_matched_line_by_line():
    ours, theirs = ("\n".join(f"{name} {at % 7}" for at in range(100_000)) for name in "ab")

    found = texts.changed_lines(ours, theirs)

    assert len(found) <= 402
    assert found[0] == "@@ -1,100000 +1,100000 @@"


def test_line_ends_alone_are_a_difference():
    assert texts.changed_lines("a\nb", "a\r\nb\n") == ("\\ the line ends differ",)


def test_files_that_are_texts_are_compared_by_lines_and_others_by_bytes(storage):
    assert [line for line in differ(storage, b"a\nb", b"a\nc").lines if line[0] in "+-"] == ["-b", "+c"]
    assert differ(storage, b"\xff\x00\x01", b"\xff\x00\x02").summary == ("byte 2 is the first that differs",)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, [("$.a[1].b", "2", "3")]),
        ({"a": 1}, {"b": 1}, [("$.a", "1", None), ("$.b", None, "1")]),
        ([1, 2, 3], [1, 9, 2, 3], [("$[1]", None, "9")]),
        ({"a": 1}, {"a": 1.0}, [("$.a", "1", "1.0")]),
        ({"a": True}, {"a": 1}, [("$.a", "true", "1")]),
        ({"a": [1]}, {"a": {"x": 1}}, [("$.a", "[1 value]", "{1 name}")]),
        ({"a b": "x"}, {"a b": "y"}, [('$["a b"]', '"x"', '"y"')]),
        ({"a": None}, {}, [("$.a", "null", None)]),
        (float("nan"), float("nan"), []),
    ],
)
def test_of_data_the_places_that_differ_are_told(before, after, expected):
    assert list(json_values.changes(before, after)) == [Change(*each) for each in expected]


def test_data_that_is_nested_deep_costs_no_more_than_its_size():
    before, after = [1], [2]
    for _ in range(150):
        before, after = [0, before, 3], [0, after, 3]

    (change,) = json_values.changes(before, after)

    assert change.place.count("[1]") == 40


def test_very_many_changes_are_counted_and_some_are_told(storage):
    found = differ(
        storage, dict.fromkeys(map(str, range(20_000)), 1), dict.fromkeys(map(str, range(20_000)), 2), format="json"
    )

    assert found.summary == ("at least 10000 values differ",)
    assert len(found.changes) <= 101


def test_references_in_data_are_equal_if_their_digests_are(storage):
    ref = storage.put(b"x" * 10)
    moved = ArtifactRef(bucket="another-bucket", key="k", size=ref.size, format=ref.format, digest=ref.digest, run="r")

    assert list(json_values.changes({"a": ref}, {"a": moved})) == []
    assert len(list(json_values.changes({"a": ref}, {"a": storage.put(b"y" * 10)}))) == 1


@pytest.mark.parametrize("format_id", ["arrow", "parquet"])
def test_of_tables_schema_rows_and_changed_values_are_told(storage, format_id):
    before = pd.DataFrame({"n": [1.0, None, 3.0], "t": ["a", "b", None], "gone": [1, 2, 3]})
    after = pd.DataFrame({"n": [1.0, 2.0, 3.5], "t": ["a", "b", "c"], "new": [1, 2, 3]})

    found = differ(storage, before, after, format=format_id)

    assert told(found) == [
        ("column gone", "int64", None),
        ("column new", None, "int64"),
        ("row 1, column n", "null", "2.0"),
        ("row 2, column n", "3.0", "3.5"),
        ("row 2, column t", "null", "c"),
    ]
    assert found.summary == (
        "column n: 2 of 3 values differ, by at most 0.5",
        "column t: 1 of 3 values differ",
    )


def test_rows_that_were_put_between_others_are_told_as_such(storage):
    before = pa.table({"n": list(range(1000)), "t": [str(at) for at in range(1000)]})
    after = pa.concat_tables([before.slice(0, 500), before.slice(0, 2), before.slice(500)])

    assert differ(storage, before, after).summary == (
        "1000 rows before, 1002 after",
        "rows 500 to 501 were added; all others are equal",
    )
    assert differ(storage, after, before).summary[1] == "rows 500 to 501 were removed; all others are equal"


def test_no_nan_is_another_one(storage):
    before = pa.table({"n": [float("nan"), 1.0]})

    assert told(differ(storage, before, pa.table({"n": [float("nan"), 2.0]}))) == [("row 1, column n", "1.0", "2.0")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pa.array([[1], [2]]), pa.array([[1], [3]])),
        (pa.array([{"a": 1}, {"a": 2}]), pa.array([{"a": 1}, {"a": 3}])),
        (pa.array(["x", "y"]).dictionary_encode(), pa.array(["x", "z"]).dictionary_encode()),
        (pa.array([b"x", b"y"]), pa.array([b"x", b"z"])),
        (pa.array([0, 10**18], pa.timestamp("us")), pa.array([0, 1], pa.timestamp("us"))),
        (pa.array([True, None]), pa.array([True, False])),
        (pa.array([0, 2**63 - 1]), pa.array([0, -(2**63)])),
    ],
    ids=lambda values: str(values.type),
)
def test_values_of_every_type_are_compared(storage, before, after):
    (change,) = told(differ(storage, pa.table({"x": before}), pa.table({"x": after})))

    assert change[0] == "row 1, column x"


def test_two_columns_of_one_name_and_no_columns_are_no_failure(storage):
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])

    assert not differ(storage, twice, pa.table({"x": [1]})).error
    assert not differ(storage, pa.table({"x": [1]}), pa.table({})).error


def test_of_arrays_the_greatest_difference_and_its_places_are_told(storage):
    before = np.zeros((30, 40))
    after = before.copy()
    after[3, 4], after[5, 6] = 0.25, -2
    before[0, 0] = after[0, 0] = np.nan

    found = differ(storage, before, np.asfortranarray(after))

    assert found.summary == ("2 of 1200 values differ", "by at most 2")
    assert ("[3, 4]", "0.0", "0.25") in told(found)
    assert None not in found.images


@pytest.mark.parametrize("kind", ["?", "u1", "i8", "f2", "c8", "M8[s]", "U3", "S2", "i4,f4"])
def test_arrays_of_every_type_are_compared(storage, kind):
    before, after = np.zeros(3, "i8").astype(kind), np.array([0, 0, 1]).astype(kind)

    assert differ(storage, before, after).summary[0] == "1 of 3 values differ"


def test_arrays_of_another_shape_are_told_by_their_statistics(storage):
    found = differ(storage, np.arange(3.0), np.arange(4.0))

    assert told(found) == [("shape", "(3,)", "(4,)"), ("max", "2.0", "3.0"), ("mean", "1.0", "1.5")]


def test_images_are_shown_side_by_side(storage):
    found = differ(storage, Image.new("RGB", (40, 30)), Image.new("RGB", (50, 30), "red"))

    assert told(found) == [("image", "PNG 40 \u00d7 30, RGB", "PNG 50 \u00d7 30, RGB")]
    assert None not in found.images


def test_of_images_of_one_size_the_part_that_differs_is_told(storage):
    changed = Image.new("RGB", (100, 100))
    changed.paste("red", (0, 0, 50, 50))

    found = differ(storage, Image.new("RGB", (100, 100)), changed)

    assert found.summary == ("of the pictures in small, 25.0% of the pixels differ",)


def test_of_directories_the_files_that_differ_are_told(storage, tmp_path):
    for name, texts_ in {
        "a": {"same": "1", "gone": "22", "changed": "x"},
        "b": {"same": "1", "new": "", "changed": "yz"},
    }.items():
        (tmp_path / name).mkdir()
        for file, text in texts_.items():
            (tmp_path / name / file).write_text(text)

    found = differ(storage, tmp_path / "a", tmp_path / "b")

    assert found.summary == ("1 file added, 1 file removed, 1 file changed",)
    assert told(found) == [("changed", "1 B", "2 B"), ("gone", "2 B", None), ("new", None, "0 B")]


def test_pickles_are_not_opened(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    found = differ(storage, Model(1), Model(2))

    assert (found.kind, found.complete) == ("pickle", False)
    assert not list(Path().iterdir())


@pytest.mark.parametrize("format_id", ["npy@1", "parquet@1", "arrow@1", "png@1", "json@1", "tree@1", "pickle5@1"])
def test_artifacts_that_are_not_of_their_format_are_told(storage, format_id):
    refs = [inline_ref(format_id, each) for each in (b"\x93nonsense", b"\x93other nonsense")]

    if format_id == "tree@1":
        refs = [storage.put(b"x" * 100), refs[1]]
    assert content_difference(storage, *refs).error or format_id == "tree@1"


def test_data_that_is_nested_too_deep_is_told(storage):
    refs = [inline_ref("json@1", b"[" * depth + b"]" * depth) for depth in (100_000, 100_001)]

    assert "is not of format" in content_difference(storage, *refs).error


def test_an_artifact_that_is_gone_is_told(storage):
    gone = ArtifactRef(bucket=storage.bucket, key="gone", size=5, format="text@1")

    assert "is gone" in content_difference(storage, gone, storage.put("text" * 10)).error


def test_two_formats_are_told(storage):
    found = content_difference(storage, storage.put([1]), storage.put("a text"))

    assert ("format", "json@1", "text@1") in told(found)
