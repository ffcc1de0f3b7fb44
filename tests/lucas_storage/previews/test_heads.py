"""The beginning of large and strange artifacts: found in few bytes, and never at the price of a bomb."""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lucas_storage.errors import DecodeError, LimitError
from lucas_storage.formats.tables.parquet_footer import groups_of
from lucas_storage.previews import parquet_pages, table_head, table_sample, thumbnail


class Counted(io.BytesIO):
    """A file that counts the bytes that are read."""

    total = 0

    def read(self, size=-1):
        data = super().read(size)
        self.total += len(data)
        return data


def parquet(table, **options):
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def arrow(table, **options):
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema, **options) as writer:
        writer.write_table(table)
    return file.getvalue()


def png(width, height, data=b""):
    chunks = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed(*chunk) for chunk in chunks)


def framed(tag, body):
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


@pytest.mark.parametrize(("make", "head"), [(parquet, table_head.of_parquet), (arrow, table_head.of_arrow)])
def test_the_head_of_a_table_is_its_first_rows_as_text(make, head):
    table = pa.table({"n": [1, 2, 3], "t": ["a", None, "c"], "l": [[1], [], None]})
    data = make(table)

    found = head(io.BytesIO(data), len(data), 1)

    assert found.names == ("n", "t", "l")
    assert found.rows[:2] == (("1", "a", "[1]"), ("2", "None", "[]"))
    assert found.facts["column n"] == "int64"


def test_of_a_large_parquet_file_a_page_of_each_column_is_read():
    table = pa.table({name: np.random.default_rng(1).random(100_000) for name in "abc"})
    data = parquet(table, use_dictionary=False, data_page_size=1 << 15)
    file = Counted(data)

    found = table_head.of_parquet(file, len(data), 5)

    assert len(found.rows) == 6
    assert found.facts["rows"] == "100000"
    assert file.total < len(data) // 4


def sample(rows):
    """A table with a column of most types, the nested ones in between."""
    times = pa.array(range(rows), pa.timestamp("ns", "UTC"))
    return pa.table(
        {
            "int": pa.array([None if at % 3 else at for at in range(rows)], pa.int32()),
            "text": [f"row {at} 数据" for at in range(rows)],
            "list": [[at, at] for at in range(rows)],
            "struct": [{"a": at, "b": str(at)} for at in range(rows)],
            "flag": [bool(at % 2) for at in range(rows)],
            "time": times,
            "large": pa.array([f"x{at}" for at in range(rows)], pa.large_string()),
            "null": pa.nulls(rows),
            "kind": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
            "bytes": [b"\x00\xff"] * rows,
            "amount": pa.array(list(range(rows)), pa.decimal128(10, 2)),
        }
    )


def small_is_large(monkeypatch):
    for name in ("_SMALL", "ARROW_MAX"):
        monkeypatch.setattr(table_head, name, 1 << 10)


def test_of_a_large_arrow_table_the_first_rows_are_read_and_no_more(monkeypatch):
    table = sample(20_000)
    data = arrow(table)
    whole = table_head.of_arrow(io.BytesIO(data), len(data), 5)
    small_is_large(monkeypatch)
    file = Counted(data)

    found = table_head.of_arrow(file, len(data), 5)

    shown = ["…" if name in ("list", "struct", "kind") else None for name in table.column_names]
    assert [row[: len(shown)] for row in found.rows] == [
        tuple(cell if mark is None else mark for cell, mark in zip(row, shown, strict=True)) for row in whole.rows[:6]
    ]
    assert (found.names, found.facts) == (whole.names, whole.facts)
    assert file.total < 20_000 < len(data) // 50


def test_a_slice_of_a_table_begins_with_its_own_rows(monkeypatch):
    data = arrow(sample(1000).slice(500, 300))
    small_is_large(monkeypatch)

    found = table_head.of_arrow(io.BytesIO(data), len(data), 5)

    assert found.rows[0][:2] == ("None", "row 500 数据")
    assert found.rows[1][:2] == ("501", "row 501 数据")


def test_of_a_large_compressed_arrow_table_the_columns_are_told(monkeypatch):
    data = arrow(sample(1000), options=pa.ipc.IpcWriteOptions(compression="zstd"))
    small_is_large(monkeypatch)

    found = table_head.of_arrow(io.BytesIO(data), len(data), 5)

    assert found.rows == ()
    assert found.facts["column int"] == "int32"
    assert found.facts["not shown"].startswith("rows of an Arrow table of ")


def test_a_large_arrow_table_that_is_damaged_is_refused_or_shown_and_ends_nothing(monkeypatch):
    small_is_large(monkeypatch)
    data = arrow(sample(500))
    chosen = random.Random(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(4):
            damaged[chosen.randrange(8000)] = chosen.randrange(256)
        try:
            table_head.of_arrow(io.BytesIO(damaged), len(damaged), 5)
        except (ValueError, OSError, TypeError, LookupError, NotImplementedError):
            refused += 1

    assert refused


def test_an_arrow_table_that_unpacks_to_far_more_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(table_head, "DECODED_MAX", 1 << 20)
    table = pa.table({"n": np.zeros(1_000_000)})
    data = arrow(table, options=pa.ipc.IpcWriteOptions(compression="zstd"))
    assert len(data) < 1 << 20

    found = table_head.of_arrow(io.BytesIO(data), len(data), 5)

    assert found.rows == ()
    assert found.facts == {"column n": "double", "not shown": "rows that take 7.6 MiB in memory"}


def test_a_parquet_file_that_claims_to_unpack_to_far_more_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(table_head.limits, "UNASKED", 1 << 10)
    data = parquet(pa.table({"n": np.zeros(1_000_000)}), use_dictionary=False, compression="zstd")

    found = table_head.of_parquet(io.BytesIO(data), len(data), 5)

    assert found.rows == ()
    assert "not shown" in found.facts


def test_a_row_of_very_many_values_in_few_bytes_is_not_decoded(monkeypatch):
    monkeypatch.setattr(parquet_pages, "NESTED_MAX", 10_000)
    lists = pa.ListArray.from_arrays([0, 20_000, 20_001], pa.array(np.zeros(20_001)))
    data = parquet(pa.table({"n": [1, 2], "l": lists, "s": pa.array([{"x": 1}, {"x": 2}])}), compression="zstd")
    assert len(data) < 5_000

    found = table_head.of_parquet(io.BytesIO(data), len(data), 5, statistics=True)

    assert found.rows == ()
    assert found.names == ("n", "l", "s")
    assert found.facts["not shown"] == "a preview reads 10000 values of lists at most, and the first rows have more"


@pytest.mark.parametrize(
    "options", [{}, {"data_page_version": "2.0"}, {"compression": "none"}, {"use_dictionary": False}]
)
def test_lists_in_pages_that_are_as_large_as_usual_are_shown(monkeypatch, options):
    monkeypatch.setattr(parquet_pages, "NESTED_MAX", 70_000)
    monkeypatch.setattr(parquet_pages, "PAGE_MAX", 500_000)
    table = pa.table({"l": [[at, at + 1] for at in range(50_000)], "n": range(50_000)})
    data = parquet(table, data_page_size=10_000, write_batch_size=100, **options)

    found = table_head.of_parquet(io.BytesIO(data), len(data), 1)

    assert found.rows[:2] == (("[0, 1]", "0"), ("[1, 2]", "1")), found.facts


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_page_that_unpacks_to_too_much_is_not_unpacked_whatever_the_footer_says(monkeypatch, version):
    monkeypatch.setattr(parquet_pages, "PAGE_MAX", 1 << 20)
    table = pa.table({"n": [1], "t": ["a" * (2 << 20)]})
    data = parquet(table, compression="zstd", use_dictionary=False, write_statistics=False, data_page_version=version)

    found = table_head.of_parquet(io.BytesIO(data), len(data), 5)

    assert found.rows == ()
    assert found.facts["not shown"].startswith("a preview unpacks pages of 1 MiB at most, and one claims 2 MiB")
    with pytest.raises(LimitError, match="unpacks pages of 1 MiB at most"):
        table_sample.sample_of(io.BytesIO(data), len(data), "parquet@1")


@pytest.mark.parametrize("step", [1, 7, 64])
def test_the_header_of_a_page_is_found_however_its_bytes_are_cut(monkeypatch, step):
    monkeypatch.setattr(parquet_pages, "NESTED_MAX", 3)
    data = memoryview(parquet(pa.table({"n": [1], "l": [[1, 2, 3, 4]]}), compression="zstd"))
    seen = parquet_pages.WatchedFile(data)
    seen.watch(groups_of(data)[0])

    with pytest.raises(LimitError, match="values of lists"):
        list(iter(partial(seen.read, step), b""))


def test_of_very_many_columns_some_are_shown():
    data = parquet(pa.table({f"c{at}": [at] for at in range(500)}))

    found = table_head.of_parquet(io.BytesIO(data), len(data), 5)

    assert len(found.names) == len(found.rows[0]) == table_head.COLUMNS
    assert not found.complete


def test_two_columns_of_one_name_are_two_columns():
    data = arrow(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]))

    assert table_head.of_arrow(io.BytesIO(data), len(data), 5).rows == (("1", "2"),)


def test_times_that_python_cannot_hold_are_shown():
    data = arrow(pa.table({"t": pa.array([10**18], pa.timestamp("us"))}))

    (cells,) = table_head.of_arrow(io.BytesIO(data), len(data), 5).rows

    assert "1000000000000000000" in cells[0]


def test_a_list_of_very_many_numbers_in_a_cell_is_shown_in_short():
    data = arrow(pa.table({"l": [list(range(200_000))]}))

    (cells,) = table_head.of_arrow(io.BytesIO(data), len(data), 5).rows

    assert len(cells[0]) <= 1000
    assert cells[0].startswith("[[0,1,2,...")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"\xff" * 100])
def test_a_file_that_is_no_table_is_refused(data):
    with pytest.raises(DecodeError):
        table_head.of_parquet(io.BytesIO(data), len(data), 5)
    if data:
        with pytest.raises((ValueError, OSError)):
            table_head.of_arrow(io.BytesIO(data), len(data), 5)


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "GIF"), ("RGB", "JPEG"), ("I;16", "PNG")]
)
def test_an_image_is_shown_small(mode, kind):
    file = io.BytesIO()
    Image.new(mode, (1000, 500)).save(file, kind)

    facts, small = thumbnail.of_image(io.BytesIO(file.getvalue()), len(file.getvalue()))

    assert thumbnail.is_image(file.getvalue()[:16])
    assert facts["image"] == f"{kind} 1000 \u00d7 500, {mode}"
    with Image.open(io.BytesIO(small)) as shown:
        assert (shown.format, shown.size) == ("PNG", (256, 128))


def test_an_image_of_a_billion_pixels_is_not_decoded():
    data = png(40_000, 30_000, zlib.compress(b"\0" * 100))

    facts, small = thumbnail.of_image(io.BytesIO(data), len(data))

    assert small is None
    assert facts["not shown"] == "an image of so many pixels"


def test_a_damaged_image_is_refused():
    with pytest.raises(ValueError, match="not an image"):
        thumbnail.of_image(io.BytesIO(png(10, 10, b"nonsense")), 100)


def test_only_the_decoders_of_common_formats_see_a_file():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "EPS")  # whose reader would start a program

    assert not thumbnail.is_image(file.getvalue()[:16])
    with pytest.raises(ValueError, match="not an image"):
        thumbnail.of_image(io.BytesIO(file.getvalue()), len(file.getvalue()))
