"""What strangers wrote: refused in words, before memory or disk is spent on it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lucas_storage import limits, settings, storage_context
from lucas_storage.artifacts.cache.cache import Cache
from lucas_storage.artifacts.directory_upload import send_directory
from lucas_storage.artifacts.manifest import Manifest
from lucas_storage.errors import CacheFullError, DecodeError, LimitError, NoFormatError, SettingsError
from lucas_storage.formats import format_by_id
from lucas_storage.formats.base import MemorySource
from lucas_storage.formats.tables import lazy_tables
from lucas_storage.formats.tables.parquet_footer import groups_of
from lucas_storage.formats.tables.thrift_compact import read_struct

GIB = 1 << 30


def decode(form, data, *, ratio=limits.EXPANSION, want=None):
    source = MemorySource(data)
    source.max_expansion = ratio
    return format_by_id(form).decode(source, want)


def stream(table, **options):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.fixture
def small(monkeypatch):
    """Nothing is free, so that small tables show what large ones would do."""
    monkeypatch.setattr(limits, "UNASKED", 1 << 20)


def zeros():
    return pa.table({"n": np.zeros(1_000_000)})


def one_text_in_each_row():
    return pa.table({"s": pa.array(["x" * 10_000] * 5000)})


def long_text_of_a_dictionary():
    return pa.table({"d": pa.array(["x" * 9_000_000]).dictionary_encode()})


def lists_of_three_numbers():
    return pa.table({"l": pa.array([list(range(3)) * 100_000] * 10)})


def true_in_each_row():
    return pa.table({"b": pa.array([True] * 9_000_000)})


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("encode", "options", "table"),
    [
        (stream, {"compression": "zstd"}, zeros),
        (stream, {"compression": "lz4"}, zeros),
        (stream, {"compression": "zstd"}, long_text_of_a_dictionary),
        (parquet, {}, zeros),
        (parquet, {"compression": "zstd", "use_dictionary": False}, zeros),
        (parquet, {}, one_text_in_each_row),
        (parquet, {}, lists_of_three_numbers),
        (parquet, {}, true_in_each_row),
    ],
)
def test_a_table_out_of_proportion_is_refused_with_the_setting(encode, options, table):
    form, data = {stream: "arrow@1", parquet: "parquet@1"}[encode], encode(table(), **options)

    with pytest.raises(LimitError, match=r"would take \d+ bytes .* LUCAS_STORAGE_MAX_EXPANSION to more than \d+"):
        decode(form, data)

    assert decode(form, data, ratio=1_000_000).num_rows > 0


@pytest.mark.usefixtures("small")
def test_rows_without_bytes_are_refused_where_they_would_get_some():
    nulls = pa.table({"n": pa.nulls(10_000_000)})

    with pytest.raises(LimitError):
        decode("arrow@1", stream(nulls), want="dataframe")


@pytest.mark.usefixtures("small")
def test_a_table_in_proportion_comes_as_it_was():
    table = pa.table({"s": [str(n) * 50 for n in range(3000)], "n": np.arange(3000.0)})

    for form, data in (("arrow@1", stream(table)), ("parquet@1", parquet(table))):
        assert decode(form, data).equals(table)


def zigzag(number):
    """Return a number as the footer of a Parquet file has it."""
    rest, found = number << 1, []
    while rest > 127:
        found.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*found, rest])


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_pages_of_lists_that_have_more_values_than_their_footer_says_are_not_decoded(version):
    count = 100_003
    lists = pa.ListArray.from_arrays([0, count], pa.array(np.zeros(count, np.int64)))
    data = parquet(pa.table({"l": lists}), data_page_version=version, write_statistics=False)
    assert decode("parquet@1", data).num_rows == 1
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    told = zigzag(count)

    lying = data[:footer] + data[footer:].replace(told, b"\x82" + b"\x80" * (len(told) - 2) + b"\x00", 1)

    with pytest.raises(DecodeError, match=r"'l\.list\.element' claims 100003 values"):
        decode("parquet@1", lying)


def with_claim(data, claim, number):
    """Return a Parquet file whose first page claims another number, where `claim` finds one of as many bytes."""
    view = memoryview(data)
    begin = groups_of(view)[0][0].begin
    page, end = read_struct(view, begin)
    told = zigzag(claim(page))
    lie = bytes(byte | 128 for byte in zigzag(number).ljust(len(told), b"\0"))
    assert len(lie) == len(told)
    return data[:begin] + data[begin:end].replace(told, lie[:-1] + bytes([lie[-1] & 127]), 1) + data[end:]


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (lambda page: page[2], "claims 128 MiB, and the footer"),
        (lambda page: page[7][1], "claims a dictionary of 134217727 values"),
    ],
)
def test_pages_that_are_larger_than_their_footer_says_take_no_memory(tmp_path, claim, text):
    table = pa.table({"n": np.arange(1 << 20)})
    data = parquet(table, dictionary_pagesize_limit=1 << 30, compression="zstd")
    path = tmp_path / "lying.parquet"
    path.write_bytes(with_claim(data, claim, (1 << 27) - 1))
    assert decode("parquet@1", data).equals(table)
    most = pa.default_memory_pool().max_memory()

    with pytest.raises(DecodeError, match=f"column 'n' {text}"):
        decode("parquet@1", path.read_bytes())
    with pytest.raises(DecodeError, match=f"column 'n' {text}"), path.open("rb") as file:
        lazy_tables.columns_of_parquet(file, path.stat().st_size, 100, ["n"], "table")

    assert pa.default_memory_pool().max_memory() == most


def test_what_is_decoded_a_few_rows_at_a_time_is_the_same_table(monkeypatch):
    table = pa.table({"s": pa.array(["x" * 1000, None, "y"] * 1000), "l": pa.array([["a"], [], None] * 1000)})
    data = parquet(table, row_group_size=700)
    monkeypatch.setattr(limits, "UNASKED", table.nbytes * 2)

    assert decode("parquet@1", data, ratio=1).equals(table)


def test_the_limit_is_a_setting():
    with storage_context(max_expansion="7"):
        assert settings.resolve().max_expansion.value == 7
    for wrong in ("0", "-1", "many", 1.5):
        with (
            pytest.raises(SettingsError, match="must be a whole number of 1 or more"),
            storage_context(max_expansion=wrong),
        ):
            pass


def npy(header, data=b"", version=1):
    text = header.encode("utf-8" if version == 3 else "latin-1")
    return b"\x93NUMPY" + bytes((version, 0)) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + data


def shaped(shape, dtype="'<f8'"):
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    "header",
    [
        shaped("(1000000000000,)"),
        shaped("(4294967296, 4294967296)"),
        shaped("(-1,)"),
        shaped("(2, -2)"),
        shaped("(9223372036854775808,)"),
        shaped("('a',)"),
        shaped("1"),
        shaped("(1,)", "'|O'"),
        shaped("(1,)", "[('a', '|O')]"),
        shaped("(1,)", "'V2147483647'"),
        shaped("(1,)", "[('a', '<f8', (2147483647,))]"),
        "(" * 5000,
        "-" * 60_000 + "1",
        "{}",
        "",
    ],
)
def test_an_array_that_promises_more_than_it_has_is_refused(header, version):
    with pytest.raises(DecodeError, match="npy@1 is not one array"):
        decode("npy@1", npy(header, b"\0" * 8, version))


def test_a_header_longer_than_any_is_refused():
    with pytest.raises(DecodeError):
        decode("npy@1", npy(shaped("(1,)") + " " * limits.NPY_HEADER, b"\0" * 8, 2))


def test_a_header_in_unicode_is_read():
    data = npy(shaped("(1,)", "[('ä€', '<f8')]"), np.float64(3).tobytes(), 3)

    assert decode("npy@1", data)["ä€"][0] == 3


@pytest.mark.parametrize("text", ["[" * 100_000, '{"$numpy":["<f8",1]}', '{"$text":1}', '{"$set":[[]]}', "1" * 10_000])
def test_json_that_is_too_deep_or_too_long_is_refused(text):
    with pytest.raises(DecodeError):
        decode("json@1", text.encode())


def tree(files=(), folders=()):
    fields = {"manifest": 1, "files": [{"path": one, "executable": False, "parts": []} for one in files]}
    return json.dumps({**fields, "folders": list(folders)}).encode()


@pytest.mark.parametrize(
    "text",
    [
        tree(["/".join("a" * (limits.DEPTH + 1))]),
        tree(folders=["/".join(["a"] * 1_000_000)]),
        tree(["/".join(["a" * 200] * 20)]),
        tree(["a", "a"]),
        tree(["a"], ["a"]),
        tree(["a/b", "a"]),
        tree(["../a"]),
        tree(["/a"]),
        b'{"manifest":1,"files":{},"folders":[]}',
        b'{"manifest":1,"files":[],"folders":"ab"}',
        b'{"manifest":1,"parts":"ab"}',
        b'{"manifest":1,"parts":[[1,2,3]]}',
        b'{"manifest":1,"parts":[["' + b"0" * 64 + b'",-1,"00000000"]]}',
        b"[" * 100_000,
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused(text):
    with pytest.raises(DecodeError, match="breaks a rule"):
        Manifest.decode(text)


def test_a_directory_of_more_files_than_are_accepted_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "FILES", 2)

    with pytest.raises(DecodeError, match="at most 2 files, not 3"):
        Manifest.decode(tree(["a", "b", "c"]))


def test_what_no_reader_accepts_is_not_stored(tmp_path):
    deep = tmp_path.joinpath(*["d"] * limits.DEPTH)
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(b"1")

    with pytest.raises(NoFormatError, match="cannot be stored; a path has at most 100 names"):
        send_directory(tmp_path, None)


def test_what_is_larger_than_the_disk_is_refused_before_anything_is_written(tmp_path):
    """A small part, named often, makes any size."""
    size = shutil.disk_usage(tmp_path).free + GIB

    with pytest.raises(CacheFullError, match="has no room"):
        Cache(tmp_path, 1 << 60).make("manifest:" + "0" * 64, Path.touch, b"", size)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


FUZZ = Path(__file__).with_name("fuzz_decoders.py")
DECODERS = [
    *("npy@1", "manifest", "arrow@1", "parquet@1", "json@1", "json@2", "pickle5@1"),
    *("array@1", "png@1", "sparse@1"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rounds", "forms"),
    [("50", DECODERS), *(pytest.param("2000", [form], marks=pytest.mark.thorough) for form in DECODERS)],
    ids=["all", *DECODERS],
)
def test_damaged_headers_neither_crash_nor_hang_nor_take_memory(rounds, forms):
    """In a process that has little memory and little time."""
    found = subprocess.run(
        [sys.executable, str(FUZZ), rounds, *forms], capture_output=True, text=True, timeout=800, check=False
    )

    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "".join(f"{form}: {rounds} rounds\n" for form in forms)
