"""What previews say of each kind of artifact, as data of bounded size, and what they leave alone."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import random
import struct
import threading
import wave
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy import sparse

from lucas_storage import register_format
from lucas_storage.errors import DecodeError, NotFoundError
from lucas_storage.formats import Preview
from lucas_storage.preview_data import TreeNode
from lucas_storage.previews import bounded_file, preview_html
from lucas_storage.previews.preview import AT_ONCE, preview, preview_object
from lucas_storage.refs import inline_ref

HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J"


class Model:
    """A class whose pickle leaves a trace when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("canary",)


def shown(storage, value, count=5, **options):
    return preview(storage, storage.put(value, **options), count)


def as_parquet(table, **options):
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


@pytest.mark.parametrize("format_id", ["arrow", "parquet"])
def test_the_columns_of_a_table_have_statistics(storage, format_id):
    days = pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02", None])
    frame = pd.DataFrame({"n": [1.0, 2.0, None, 6.0], "kind": ["a", "b", "a", "a"], "day": days})

    n, kind, day = shown(storage, frame, format=format_id).columns

    assert (n.name, n.type, n.count, n.nulls, n.mean, n.low, n.high) == ("n", "double", 4, 1, 3.0, "1.0", "6.0")
    assert sum(n.histogram.counts) == 3
    assert (kind.distinct, kind.common) == (2, (("a", 3), ("b", 1)))
    assert (day.low, day.high) == ("2024-01-01 00:00:00", "2024-01-03 00:00:00")


def test_statistics_of_a_part_of_a_table_are_said_to_be_of_that_part(storage):
    found = shown(storage, pa.table({"n": range(50_000)}))

    assert found.sample == "the first 10000 rows"
    assert found.columns[0].count == 10_000


def test_the_footer_of_a_parquet_file_tells_the_ends_of_all_rows(storage):
    found = shown(storage, pa.table({"n": range(50_000)}), format="parquet")

    (column,) = found.columns
    assert (column.count, column.high, column.whole) == (10_000, "49999", True)
    assert column.mean == 4999.5


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1], [2, 3]]),
        pa.nulls(2),
        pa.array([b"\xff", b""]),
        pa.array([{"a": 1}, None]),
        pa.array([2**63 - 1, -(2**63)]),
        pa.array([10**37, 1], pa.decimal128(38, 0)),
        pa.array([math.inf, math.nan]),
        pa.array([1e308, -1e308]),
        pa.array([10**18, 0], pa.timestamp("us")),
        pa.array([True, False]),
        pa.array(["x" * 2_000_000, HOSTILE]),
        pa.array(["a", "a"]).dictionary_encode(),
        pa.array([1, 2], pa.duration("ns")),
        pa.array([], pa.int64()),
        pa.array(np.array([1.5, 2.5], "f2")),
    ],
    ids=lambda values: str(values.type),
)
def test_every_type_of_column_has_a_preview_that_json_can_hold(storage, values):
    data = io.BytesIO()
    with pa.ipc.new_stream(data, pa.schema([("x", values.type)])) as writer:
        writer.write_table(pa.table({"x": values}))

    found = preview(storage, inline_ref("arrow@1", data.getvalue()), 5)

    text = json.dumps(found.to_json(), allow_nan=False)
    assert found.columns[0].count == len(values)
    assert len(text) < 20_000


def test_a_long_text_that_stands_for_every_row_of_a_parquet_file_is_not_multiplied(storage):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), pa.array(["x" * 1_000_000]))
    data = as_parquet(pa.table({"t": texts}), store_schema=False)
    assert len(data) < 200_000

    found = preview(storage, inline_ref("parquet@1", data), 2)

    assert int(found.sample.split()[2]) < 100
    assert len(found.table[1][0]) <= 1001


def test_an_array_has_statistics_a_histogram_and_a_picture(storage):
    values = np.arange(600.0).reshape(20, 30)
    values[0, 0], values[0, 1] = np.nan, np.inf

    found = shown(storage, values)

    assert found.facts["shape"] == "(20, 30)"
    assert (found.numbers.nans, found.numbers.infinite, found.numbers.high) == (1, 1, "inf")
    assert sum(found.numbers.histogram.counts) == 598
    with Image.open(io.BytesIO(found.image)) as picture:
        assert (picture.size, picture.mode) == ((30, 20), "L")
        assert picture.getpixel((29, 19)) == 255


def test_an_array_in_the_order_of_its_columns_has_the_same_picture(storage):
    values = np.arange(600.0).reshape(20, 30)

    assert shown(storage, values).image == shown(storage, np.asfortranarray(values)).image


@pytest.mark.parametrize(
    "kind", ["?", "i1", "u8", "i8", "f2", "f4", "f8", "g", "c16", "M8[ns]", "m8[s]", ">i4", "U3", "S2"]
)
def test_arrays_of_every_type_have_a_preview_that_json_can_hold(storage, kind):
    for values in (np.ones((3, 3)).astype(kind), np.zeros((0, 3), kind), np.ones(1).astype(kind)):
        json.dumps(shown(storage, values).to_json(), allow_nan=False)


def test_of_a_large_array_values_from_many_places_are_read(storage, monkeypatch):
    monkeypatch.setattr(bounded_file, "BYTES_MAX", 4 << 20)
    values = np.zeros(3_000_000)
    values[2_900_000:] = 7

    found = shown(storage, values)

    assert found.sample == "262144 values from 32 places of 22.9 MiB"
    assert (found.numbers.low, found.numbers.high) == ("0.0", "7.0")


def test_arrays_of_the_standard_library_and_sparse_ones_are_described(storage):
    typed = shown(storage, array("h", [3, -1, 2]))
    spread = shown(storage, sparse.csr_array(np.eye(100)))

    assert (typed.facts["type code"], typed.lines, typed.numbers.low) == ("h", ("3", "-1", "2"), "-1")
    assert spread.facts["shape"] == "(100, 100)"
    assert spread.facts["stored values"] == "100"


def test_data_is_a_tree_of_bounded_depth_and_width(storage):
    deep = wide = {"n": 1}
    for _ in range(50):
        deep = {"in": deep}
    wide = {str(at): list(range(100)) for at in range(100)}

    for value in (deep, wide, {HOSTILE: "x" * 500_000}):
        tree = shown(storage, value).tree
        assert nodes(tree) <= 1000
        assert len(json.dumps(shown(storage, value).to_json())) < 700_000
    assert shown(storage, wide).tree.size == 100
    assert shown(storage, {"a": [None, "b"]}).tree == TreeNode(
        name="",
        kind="object",
        size=1,
        children=(
            TreeNode(
                name="a",
                kind="array",
                size=2,
                children=(TreeNode(name="0", kind="null", text="null"), TreeNode(name="1", kind="text", text='"b"')),
            ),
        ),
    )


def test_the_indents_of_data_that_is_nested_deep_are_not_written_out(storage, monkeypatch):
    written = []
    iterate = json.JSONEncoder.iterencode

    def counted(self, value):
        for piece in iterate(self, value):
            written.append(len(piece))
            yield piece

    monkeypatch.setattr(json.JSONEncoder, "iterencode", counted)
    data = b"[" * 400 + b"[]," * 200_000 + b"[]" + b"]" * 400

    found = preview(storage, inline_ref("json@1", data), 1000)

    assert not found.complete
    assert sum(written) < 3_000_000


def nodes(tree):
    return 1 + sum(map(nodes, tree.children))


def test_a_directory_is_its_entries_with_their_sizes(storage, tmp_path):
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "empty").mkdir()
    (tmp_path / "d" / "sub" / "a.txt").write_text("text")

    found = shown(storage, tmp_path / "d")

    assert found.kind == "directory"
    assert [(each.name, each.size) for each in found.entries] == [("sub/a.txt", 4), ("empty/", None)]


def test_a_text_is_told_with_its_encoding(storage, tmp_path):
    (tmp_path / "a.txt").write_bytes("ä\nb".encode("utf-16"))

    found = shown(storage, tmp_path / "a.txt")

    assert (found.facts["encoding"], found.lines) == ("UTF-16", ("ä", "b"))
    assert shown(storage, "one\ntwo").facts == {"encoding": "UTF-8", "lines": "2"}


def wav(seconds, rate=8000):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((2, 2, rate, 0, "NONE", "not compressed"))
        writer.writeframes(bytes(4 * int(seconds * rate)))
    return file.getvalue()


def flac(samples, rate):
    packed = rate << 44 | 1 << 41 | 15 << 36 | samples
    return b"fLaC" + b"\x80\0\0\x22" + bytes(10) + packed.to_bytes(8, "big") + bytes(16 + 100)


def ogg(samples, rate=44_100):
    packet = b"\x01vorbis" + struct.pack("<IBI", 0, 2, rate) + bytes(20)
    page = b"OggS\0\2" + struct.pack("<qIII", 0, 1, 0, 0) + b"\1" + bytes((len(packet),)) + packet
    return page + bytes(5000) + b"OggS\0\4" + struct.pack("<qIII", samples, 1, 1, 0) + b"\0"


def mp3(frames, *, counted):
    frame = b"\xff\xfb\x90\x00"
    xing = b"Xing\0\0\0\1" + frames.to_bytes(4, "big") if counted else b""
    tag = b"ID3\4\0\0" + bytes((0, 0, 0, 20)) + bytes(20)
    first = (frame + bytes(32) + xing).ljust(417, b"\0")
    return tag + first + (frame.ljust(417, b"\0")) * (frames - 1)


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (wav(2.5), "2.50 s"),
        (flac(44_100 * 61, 44_100), "1:01"),
        (ogg(44_100 * 3), "3.00 s"),
        (mp3(100, counted=True), "2.61 s"),
        (mp3(100, counted=False), "about 2.61 s"),
        (wav(3)[:-4000], "2.88 s"),
    ],
    ids=["wav", "flac", "ogg", "mp3", "mp3 by its bits", "wav that is cut off"],
)
def test_the_length_of_a_recording_is_told_by_its_headers(storage, data, length):
    found = shown(storage, data)

    assert (found.kind, found.facts["length"]) == ("audio", length)


def test_a_pickle_is_described_and_never_loaded(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    ours, another = shown(storage, Model()), shown(storage, pickle.dumps(Model(), protocol=4))

    assert (ours.kind, ours.facts["signed"]) == ("pickle", "yes")
    assert (another.kind, another.facts["pickle"]) == ("pickle", "protocol 4")
    assert not Path("canary").exists()


def test_the_tensors_of_a_file_are_listed_by_its_header(storage):
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    ref = inline_ref("safetensors@1", len(header).to_bytes(8, "little") + header + bytes(24))

    (entry,) = preview(storage, ref, 5).entries

    assert (entry.name, entry.size, entry.note) == ("w", 24, "F32 [2, 3]")


@pytest.mark.parametrize(
    ("key", "data", "kind"),
    [
        ("a.csv", b"x,y\n1,2\n", "table"),
        ("a.parquet", as_parquet(pa.table({"x": [1]})), "table"),
        ("a.json", b'{"a": 1}', "json"),
        ("a.txt", b"text", "text"),
        ("a.bin", b"\x00\x01", "bytes"),
        ("a.wav", wav(1), "audio"),
        ("empty", b"", "text"),
    ],
)
def test_an_object_is_shown_by_its_beginning_and_its_name(storage, key, data, kind):
    storage.put_object(storage.bucket, key, data)

    assert preview_object(storage, storage.bucket, key, 5).kind == kind


@pytest.mark.parametrize("key", ["a.csv", "a.json", "a.arrow", "a.txt", "a"])
def test_an_empty_object_is_an_empty_text_whatever_its_name(storage, key):
    storage.put_object(storage.bucket, key, b"")
    found = preview_object(storage, storage.bucket, key, 5)

    assert (found.kind, found.lines, found.complete, found.error) == ("text", (), True, "")


def test_comma_separated_values_are_shown_as_a_table(storage):
    storage.put_object(storage.bucket, "a.csv", b'name;n\n"a;b";1\nc;2\n')

    assert preview_object(storage, storage.bucket, "a.csv", 1).table == (("name", "n"), ("a;b", "1"))


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("a.json", b"[" * 100_000),
        ("a.json", b"no json"),
        ("a.csv", b"\xff\x00"),
        ("a.parquet", b"PAR1" + b"\xff" * 100),
        ("a.npy", b"\x93NUMPY\x01\x00\xff\xff{"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 50),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt "),
        ("a.wav", b"RIFF\0\0\0\0WAVE" + b"data\0\0\0\0" * 9),
        ("a.ogg", b"OggS" + b"\xff" * 40),
        ("a.flac", b"fLaC"),
        ("a.mp3", b"ID3\4\0\0\x7f\x7f\x7f\x7f"),
        ("a.arrow", b"ARROW1\0\0" + b"\xff" * 50),
    ],
)
def test_an_object_that_is_not_what_it_claims_is_shown_as_its_bytes_with_the_reason(storage, key, data):
    storage.put_object(storage.bucket, key, data)

    found = preview_object(storage, storage.bucket, key, 5)

    assert found.kind in ("text", "bytes")
    assert found.error


def test_an_object_that_is_not_there_is_an_error(storage):
    storage.put_object(storage.bucket, "another", b"")
    with pytest.raises(NotFoundError):
        preview_object(storage, storage.bucket, "gone", 5)


def test_of_a_large_object_only_ranges_are_read(storage, monkeypatch):
    monkeypatch.setattr(bounded_file, "BYTES_MAX", 1 << 20)
    storage.put_object(storage.bucket, "large", b"line\n" * 1_000_000)

    assert preview_object(storage, storage.bucket, "large", 2).lines == ("line", "line")


def test_an_object_whose_beginning_takes_more_than_a_preview_reads_is_told(storage, monkeypatch):
    monkeypatch.setattr(bounded_file, "BYTES_MAX", 1 << 10)
    storage.put_object(storage.bucket, "a.parquet", as_parquet(pa.table({"x": np.random.default_rng(1).random(5000)})))

    found = preview_object(storage, storage.bucket, "a.parquet", 5)

    assert (found.kind, found.lines) == ("other", ())
    assert "reads 1 KiB at most" in found.error


class Colour:
    pass


class Broken:
    """A codec whose preview does as it is told."""

    def __init__(self, make):
        self.make = make

    def encode(self, value):
        return b"bytes"

    def decode(self, source, want):
        return Colour()


def registered(name, make, *, safe=True):
    class Codec(Broken):
        def __init__(self):
            super().__init__(make)

        def preview(self, file, size, count):
            return make(file, size, count)

    Codec.__qualname__ = name
    register_format(f"acme/{name}@1", Colour, safe=safe)(Codec)
    return inline_ref(f"acme/{name}@1", b"some bytes")


def test_a_registered_format_brings_its_own_preview(storage):
    ref = registered("own", lambda file, size, count: Preview(facts={"head": file.read(4).decode(), "size": str(size)}))

    assert preview(storage, ref, 5).facts == {"head": "some", "size": "10"}


def failing(file, size, count):
    raise RuntimeError(HOSTILE)


class UnprintableError(Exception):
    def __str__(self):
        raise ValueError


def unprintable(file, size, count):
    raise UnprintableError


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (failing, "RuntimeError"),
        (unprintable, "UnprintableError"),
        (lambda *_: "text", "returned a str"),
        (lambda *_: 1 / 0, "ZeroDivisionError"),
        (lambda file, *_: file.close(), "closed the file"),
    ],
    ids=["fails", "fails with what fails", "a text", "a bug", "closes"],
)
def test_a_preview_of_another_package_that_fails_is_told_in_its_place(storage, make, told):
    found = preview(storage, registered("failing" + told.split(" ", maxsplit=1)[0].lower(), make), 5)

    assert told in found.error
    assert "<script" not in preview_html.content(found)


def test_what_a_preview_of_another_package_returns_is_cut(storage):
    large = Preview(facts={"x" * 9999: "y" * 10**6}, lines=("z" * 10**6,) * 5000, image=b"<svg onload=alert(1)>")

    found = preview(storage, registered("large", lambda *_: large), 5)

    assert found.image is None
    assert len(json.dumps(found.to_json())) < 11_000_000
    assert len(preview_html.content(found)) < 300_000


def test_a_format_that_is_not_safe_is_not_asked(storage):
    found = preview(storage, registered("unsafe", failing, safe=False), 5)

    assert (found.error, found.lines) == ("", ("some bytes",))


@pytest.mark.parametrize(
    "value",
    [
        HOSTILE * 1000,
        {HOSTILE: [HOSTILE]},
        pa.table({HOSTILE: [HOSTILE * 1000, HOSTILE]}),
        np.array([HOSTILE[:20]]),
        f"{HOSTILE},b\n{HOSTILE},1\n".encode(),
    ],
    ids=["text", "data", "table", "array", "bytes"],
)
def test_strangers_texts_do_nothing_in_html(storage, value):
    html = preview_html.content(shown(storage, value))

    assert "<script" not in html
    assert not {"\u202e", "\x1b"} & set(html)


def test_a_table_whose_offsets_lead_out_of_memory_is_refused(storage):
    offsets = pa.py_buffer(struct.pack("<3i", 0, 1 << 30, 2))
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"ab")])
    data = io.BytesIO()
    with pa.ipc.new_stream(data, pa.schema([("t", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([texts], ["t"]))

    with pytest.raises(DecodeError):
        preview(storage, inline_ref("arrow@1", data.getvalue()), 5)


def test_damaged_footers_and_streams_are_refused_or_shown_and_end_nothing(storage):
    table = pa.table(
        {"n": [1, None, 3] * 20, "t": ["a", "b", "c"] * 20, "f": [0.5, 1, 2] * 20, "l": [[1], [], None] * 20}
    )
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    chosen = random.Random(7)
    refused = 0
    for format_id, data in (("parquet@1", as_parquet(table, row_group_size=25)), ("arrow@1", stream.getvalue())):
        for _ in range(250):
            damaged = bytearray(data)
            for _ in range(3):
                damaged[-1 - chosen.randrange(min(2500, len(data)))] = chosen.randrange(256)
            try:
                preview(storage, inline_ref(format_id, bytes(damaged)), 5)
            except DecodeError:
                refused += 1

    assert refused


def test_the_header_of_an_array_that_is_no_expression_is_refused(storage):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header

    with pytest.raises(DecodeError, match="not one of format"):
        preview(storage, inline_ref("npy@1", data), 5)


def test_an_array_that_claims_more_values_than_it_has_is_refused(storage):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})

    with pytest.raises(DecodeError, match="another number of values"):
        preview(storage, inline_ref("npy@1", file.getvalue()), 5)


def test_of_many_previews_at_once_some_wait(storage):
    began, go = threading.Semaphore(0), threading.Event()
    under_way, most = [], []

    def waiting(file, size, count):
        under_way.append(size)
        most.append(len(under_way))
        began.release()
        go.wait()
        under_way.pop()
        return Preview()

    registered("waiting", waiting)
    ref = inline_ref("acme/waiting@1", b"bytes")
    with ThreadPoolExecutor(3 * AT_ONCE) as threads:
        made = [threads.submit(preview, storage, ref, 5) for _ in range(3 * AT_ONCE)]
        for _ in range(AT_ONCE):
            began.acquire()
        go.set()

        assert {each.result().error for each in made} == {""}
    assert max(most) == AT_ONCE
