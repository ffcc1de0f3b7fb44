from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import math
import subprocess
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage.errors import (
    DecodeError,
    InvalidParameterError,
    MissingDependencyError,
    NoFormatError,
    PermissionError,
    UnknownFormatError,
)
from lucas_storage.formats import format_by_id, format_for, is_exact, register_format
from lucas_storage.formats.base import MemorySource, Source
from lucas_storage.refs import ArtifactRef, inline_ref
from tests.lucas_storage.formats.round_trips import FileSource, Point, in_file, round_trip

REF = ArtifactRef(bucket="bucket", key="k", size=3, format="npy@1", digest="sha256:" + "0" * 64)


class Text(str):
    __slots__ = ()


class Array(np.ndarray):
    pass


def frame(**columns):
    return pd.DataFrame(columns)


def _records():
    return np.array([(1, 2.5, b"ab"), (2, -0.0, b"c")], dtype=[("i", "<i4"), ("x", ">f8"), ("s", "S3")])


LARGE = np.arange(100_000, dtype="f8")

SAMPLES = {
    "json@1": [
        None,
        True,
        0,
        -(10**5000),
        1 << 2000,
        -0.0,
        1e308,
        math.nan,
        math.inf,
        -math.inf,
        [],
        {},
        [1, [2.5, None, "ä\u2028"], {"k": [True]}],
        {"$artifact": "lucas:inline?f=json@1&v=bnVsbA"},
        {"$artifact": 1},
        {"$tuple": [1]},
        {"$dict": [[1, 2]]},
        {"$unknown": {"$float": "nan"}},
        {"$a": 1, "$b": 2},
        {"b": 1, "a": 2},
        (),
        (1, (2, [3])),
        {1, 2.5, "x", None, (1, 2)},
        frozenset({"a", frozenset()}),
        set(),
        {1: "int", "1": "str", None: 0, (1, 2): [], 2.5: math.nan},
        ["\ud800", "\ud800\udc00", "\U00010000"],
        {"\udfff": 1},
        REF,
        [REF, {"nested": (REF.signed("0" * 64),)}, inline_ref("json@1", b"null")],
        np.float64(1.5),
        np.float32("nan"),
        np.int8(-3),
        np.bool_(True),  # noqa: FBT003
        np.complex128(1 + 2j),
        np.datetime64("2026-11-23T01:02:03.000000004"),
        np.datetime64("NaT", "s"),
        np.timedelta64(5, "25s"),
        np.str_("ä"),
        np.bytes_(b"ab"),
        {"mean": np.float64(0.1), "n": 3},
    ],
    "json@2": [
        [datetime.fromisoformat("2026-11-23T01:02:03.000004"), datetime.fromisoformat("2026-10-25").replace(fold=1)],
        datetime(2026, 11, 23, tzinfo=UTC),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=-1, seconds=7, microseconds=8))),
        datetime(2026, 11, 23, tzinfo=timezone(timedelta(hours=1), "here")),
        [time(1, 2, 3, 4), time(1, tzinfo=UTC), time(1, tzinfo=ZoneInfo("Asia/Shanghai")), time(2, fold=1)],
        {date(2026, 11, 23): date.min},
        [timedelta(0), timedelta(-1, 5, 7), timedelta.max],
        [Decimal("1.10"), Decimal("-0E+5"), Decimal("NaN12"), Decimal("-Infinity"), Decimal(1) / 7],
        UUID("12345678-1234-5678-1234-567812345678"),
        [1 + 2j, complex(-0.0, math.inf), complex(math.nan, -0.0)],
        [b"", b"\x00\xff" * 2048, bytearray(b"ab")],
        [
            PurePosixPath("a/../b"),
            PurePosixPath(),
            PurePosixPath("/\udcff"),
            PureWindowsPath("c:\\x"),
            PureWindowsPath("c:x"),
        ],
        [OrderedDict([("b", 1), ("a", 2)]), OrderedDict(), {"x": OrderedDict({1: (2,)})}],
        [Counter("abca"), defaultdict(list, {"a": [1]}), defaultdict(None), defaultdict(tuple, {(1,): {2}})],
        [deque([1, (2, deque())]), deque([b"x"], maxlen=3), deque(maxlen=0)],
        [range(3), range(0, 10**30, 7), range(5, -5, -1)],
        [slice(1), slice(None, "x", math.inf)],
        [{"$datetime": "2026-11-23"}, {"$unknown": 1}, {"$a": 1, "b": 2j}, REF, {"deep": (REF,)}],
    ],
    "text@1": ["", "plain", "ä日\x00\n\u2028", "\ud800 alone", "\ud800\udc00", "\U00010000" * 3],
    "bytes@1": [b"", b"\x00\xff" * 10],
    "bytearray@1": [bytearray(), bytearray(b"\x00\xff" * 10), bytearray(5000)],
    "array@1": [
        array("d", [1.5, math.nan, -0.0]),
        array("b"),
        array("B", b"\x00\xff"),
        array("l", [-1, 1 << 40]),
        array("Q", [2**64 - 1]),
        array("f", [0.1] * 20_000),
        *([array("u", "ä\U00010000")] if sys.version_info < (3, 13) else ()),  # of which 3.13 warns
    ],
    "npy@1": [
        np.array(3.5),
        np.array([], dtype="i2"),
        np.empty((3, 0, 2), dtype="f4"),
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.arange(10)[::-2],
        np.broadcast_to(np.float32(7), (4, 5)),
        np.lib.stride_tricks.sliding_window_view(np.arange(6), 3),
        np.array([1, 256], dtype=">u2"),
        np.array(["2026-11-23", "NaT"], dtype="M8[D]"),
        np.array([5, -5], dtype="m8[25us]"),
        np.array([1 + 2j], dtype="c16"),
        np.array([1.5], dtype=np.longdouble),
        np.array([1.5], dtype="f2"),
        np.array([True, False]),
        np.array(["ä", "日本"]),
        np.array([b"ab", b"c\x00d"]),
        np.array([b"raw"], dtype="V3"),
        _records(),
        np.zeros(2, dtype=[("a", [("b", "i1"), ("c", "f4", (2, 2))])]),
        np.zeros(2, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        np.zeros(3, dtype=[(f"{i:0>100}", "i1") for i in range(650)]),
        np.zeros(2, dtype=[(("title", "a"), "i4"), ("", "f4"), ("none", "i4", (0,))]),
        np.zeros(2, dtype={"names": ["a"], "formats": ["i4"], "itemsize": 16}),
        np.zeros(3, dtype="U0"),
        np.zeros((), dtype=[("a", "i4")]),
        np.array([1, 2], dtype="m8[s]"),
        np.empty((0, 1 << 40)),
        LARGE,
        LARGE.reshape(500, 200).T,
        LARGE[:3],
    ],
    "arrow@1": [
        pa.table({}),
        pa.table({"a": [1, None, 3], "b": ["x", None, ""]}),
        pa.table({"a": pa.array([], pa.int8())}),
        pa.table([[1], [2]], names=["same", "same"]),
        pa.table({"d": pa.array(["x", "y", "x"]).dictionary_encode()}),
        pa.table({"d": pa.chunked_array([pa.array([t]).dictionary_encode() for t in ("x", "y", "z")])}),
        pa.table({"n": [{"a": [1, 2]}, {"a": None}], "m": [[["x"]], []]}),
        pa.table({"t": pa.array([0], pa.timestamp("ns", "Europe/Berlin"))}).replace_schema_metadata({"mine": "kept"}),
        pa.Table.from_pandas(frame(a=[1, 2])),
        frame(),
        pl.DataFrame({"a": [1]}).select([]),
        pd.DataFrame(columns=["a", "b"], dtype="f8"),
        frame(a=[1, 2], b=[0.5, math.nan], c=["x", None], d=[True, False]),
        pd.DataFrame(np.arange(6.0).reshape(2, 3)),
        frame(a=[1, 2, 3]).iloc[::2],
        frame(a=[1, 2]).set_index(pd.RangeIndex(10, 14, 2, name="i")),
        frame(a=[1, 2, 3]).set_index(pd.date_range("2026", periods=3, freq="h", tz="UTC", name="at")),
        frame(a=[1, 2]).set_index(pd.timedelta_range("1D", periods=2)),
        frame(a=[1, 2]).set_index(pd.period_range("2026", periods=2, freq="M")),
        frame(a=[1, 2]).set_index(pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", None])),
        frame(a=[1]).set_index(pd.Index(["r"], name="a")),
        frame(a=[1]).rename_axis(columns="named"),
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])),
        frame(c=pd.Categorical(["x", "y", None], categories=["z", "y", "x"], ordered=True)),
        frame(t=pd.to_datetime(["2026-11-23T01:02:03.000000004"]).tz_localize("Europe/Berlin")),
        frame(t=pd.to_datetime(["2026-11-23", None])),
        frame(i=pd.array([1, None], "Int64"), f=pd.array([1.5, None], "Float32"), b=pd.array([True, None], "boolean")),
        frame(s=pd.array(["x", None], "string"), p=pd.array([1, None], "int64[pyarrow]")),
        frame(p=pd.period_range("2026", periods=2, freq="D"), i=pd.interval_range(0, 2)),
        frame(a=np.arange(5, dtype="f2"), b=np.arange(5, dtype="u1")),
        pl.DataFrame(),
        pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [[1, 2], None], "d": [{"x": 1}, {"x": None}]}),
        pl.DataFrame({"e": pl.Series(["x"], dtype=pl.Enum(["y", "x"])), "c": pl.Series(["x"], dtype=pl.Categorical)}),
        pl.DataFrame(
            {"t": pl.Series([0], dtype=pl.Duration("us")), "z": pl.Series([0], dtype=pl.Datetime("ns", "UTC"))}
        ),
        pa.table({"x": LARGE}),
        frame(x=LARGE, y=LARGE * 2),
        pl.DataFrame({"x": LARGE}),
    ],
    "pickle5@1": [
        Text("subclass"),
        Point(1),
        Point(2, LARGE),
        Point(3, LARGE[::2]),
        Point(4, np.asfortranarray(LARGE.reshape(500, 200))),
        [b"bytes in a list" * 500, 1],
        {"a": Point(1)},
        Fraction(1, 2),
        Path("relative"),
        np.array([{}, None], dtype=object),
        np.ma.masked_array([1, 2], mask=[True, False]),
        np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.zeros(2, dtype=np.dtype("i4", metadata={"unit": "m"})),
        np.zeros(2).view(Array),
        np.zeros(2, dtype=np.dtype((np.record, [("i", "i4")]))),
        np.zeros(2, dtype={"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 0]}),
        *([np.char.array(["a", "b"])] if np.__version__ < "2.5" else []),  # of which later ones warn
        # numpy 1 has no dtype for text of any length
        *([np.array(["x", "longer"], dtype=np.dtypes.StringDType())] if np.__version__ >= "2" else []),
        np.str_("ends in NUL\x00"),
        pd.Series([1, 2], name="s"),
        pd.Index(["a", "b"]),
        frame(o=pd.Series([1, "x", None], dtype=object)),
        # pandas 2 has no other dtype for text, so there it is text, and Arrow holds it
        *([frame(o=pd.Series([None, None, "x"], dtype=object))] if pd.__version__ >= "3" else []),
        frame(c=np.array([1j])),
        frame(b=np.array([1, 2], dtype=">i4")),
        frame(s=pd.arrays.SparseArray([0, 0, 1])),
        pd.DataFrame([[1, 2]], columns=["same", "same"]),
        pd.DataFrame([[1, 2]], columns=["a", 1]),
        frame(a=[1]).set_flags(allows_duplicate_labels=False),
        pl.Series("s", [1, 2]),
        pa.array([1, 2]),
        pd.DataFrame(index=range(3)),
        pa.table({"a": [1]}).replace_schema_metadata({"lucas.class": "polars"}),
        dataclasses.make_dataclass("Made", ["a"], frozen=True),
    ],
}
EVERY = [pytest.param(id_, value, id=f"{id_}-{i}") for id_, values in SAMPLES.items() for i, value in enumerate(values)]


def same_array(one, other):
    dtypes = one.dtype == other.dtype and one.dtype.metadata == other.dtype.metadata
    dtypes = dtypes and (one.dtype.names is None or one.dtype.type is other.dtype.type)
    content = one.tobytes() == other.tobytes() or repr(one.tolist()) == repr(other.tolist())
    return dtypes and one.shape == other.shape and content


def same_frame(one, other):
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    return one.flags == other.flags


SAME = {
    array: lambda one, other: one.typecode == other.typecode and one.tobytes() == other.tobytes(),
    np.ndarray: same_array,
    pa.Table: lambda one, other: one.equals(other, check_metadata=True),
    pd.DataFrame: same_frame,
    pl.DataFrame: lambda one, other: one.equals(other) and one.schema == other.schema,
    (pd.Series, pd.Index, pl.Series, pa.Array): lambda one, other: one.equals(other),
    ArtifactRef: lambda one, other: one.uri == other.uri,
    type: lambda one, other: one.__name__ == other.__name__,
    dict: lambda one, other: same([*one.keys(), *one.values()], [*other.keys(), *other.values()]),
    (list, tuple, deque): lambda one, other: len(one) == len(other) and all(map(same, one, other)),
    (float, complex, Decimal, datetime, time, slice, np.generic): lambda one, other: repr(one) == repr(other),
    object: lambda one, other: bool(one == other),
}


def same(one, other):
    """Equal, of one type, and equal in what that type's own equality leaves out."""
    compare = next(compare for types, compare in SAME.items() if isinstance(one, types))
    return type(one) is type(other) and compare(one, other)


@pytest.mark.few(60)
@pytest.mark.parametrize(("format_id", "value"), EVERY)
def test_every_value_comes_back_the_same_from_memory_and_from_a_file(format_id, value, tmp_path):
    form = format_for(value)
    from_memory = round_trip(value, MemorySource)
    from_file = round_trip(value, lambda data: in_file(tmp_path, data))

    assert format_id == form.id
    assert same(value, from_memory)
    assert same(value, from_file)


@pytest.mark.few(60)
@pytest.mark.parametrize(("format_id", "value"), EVERY)
def test_what_is_encoded_is_measured_and_cut_without_change(format_id, value):
    encoded = format_by_id(format_id).encode(value)
    whole = bytes(encoded)

    assert len(whole) == encoded.size
    assert "sha256:" + hashlib.sha256(whole).hexdigest() == encoded.digest()
    for size in (1 << 20, 100_000, 1000):
        pieces = list(encoded.chunks(size))
        assert whole == b"".join(pieces)
        assert all(0 < len(piece) <= size for piece in pieces)


SAFE = [case for case in EVERY if case.id[:7] != "pickle5"]


@pytest.mark.few(50)
@pytest.mark.parametrize(("format_id", "value"), SAFE)
def test_damaged_bytes_are_an_error_and_nothing_else(format_id, value):
    form = format_by_id(format_id)
    whole = bytes(form.encode(value))[:2000]

    for damaged in (whole[: len(whole) // 2], b"", b"\xff" + whole[1:], whole + b"\x00\xff"):
        with suppress(DecodeError):
            form.decode(MemorySource(damaged), "any")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.text(st.characters(), max_size=4) | st.sampled_from(["$tuple", "$artifact"]), inner, max_size=3
        )
        | st.dictionaries(st.integers() | st.tuples(st.integers(), st.text(max_size=2)), inner, max_size=3)
        | st.sets(st.integers() | st.text(max_size=3), max_size=3)
    ),
    max_leaves=20,
)


@given(_json)
def test_any_json_like_value_comes_back_the_same(value):
    form = format_by_id("json@1")
    text = bytes(form.encode(value))

    assert form.handles(value)
    assert same(value, form.decode(MemorySource(text), None))
    json.loads(text, parse_constant=pytest.fail)


@given(_json)
def test_plain_json_data_comes_unchanged_through_any_json_engine(value):
    if is_exact(value):
        assert same(value, json.loads(json.dumps(value, allow_nan=False)))


def test_plain_json_data_is_judged_by_type():
    plain = [None, True, 1, 1.5, "x", [], {}, {"$artifact": 1}, [{"a": [None]}]]
    other = [
        math.nan,
        math.inf,
        (),
        set(),
        {1: 2},
        b"",
        Text("x"),
        np.float64(1),
        1 << 9999,
        "\ud800",
        {"\ud800": 1},
        REF,
    ]

    assert [True] * len(plain) == [is_exact(value) for value in plain]
    assert [False] * len(other) * 2 == [is_exact(value) for one in other for value in (one, [one])]


def test_a_value_that_contains_itself_or_is_too_deep_is_not_json():
    loop: list = []
    loop.append(loop)
    deep: list = []
    for _ in range(5000):
        deep = [deep]

    for value in (loop, deep):
        assert not is_exact(value)
        assert not format_by_id("json@1").handles(value)
        with pytest.raises(NoFormatError):
            format_by_id("json@1").encode(value)


@pytest.mark.slow
def test_sets_are_written_in_one_order_whatever_the_hash_seed():
    script = (
        "from lucas_storage.formats import format_for\n"
        "value = {'a', 'b', 'c', (1, 'd')}\n"
        "print(format_for(value).encode(value).digest())\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(answers) == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"$set": 5}',
        '{"$set": [[]]}',
        '{"$int": "x"}',
        '{"$text": "!"}',
        '{"$float": "1"}',
        '{"$dict": [[1]]}',
        '{"$numpy": ["|O", "AAAAAAAAAAA="]}',
        '{"$numpy": ["<f8", ""]}',
        '{"$artifact": "lucas:nonsense"}',
        "NaN",
        "[" * 100_000,
    ],
)
def test_tags_that_make_no_sense_are_refused(text):
    with pytest.raises(DecodeError):
        format_by_id("json@1").decode(MemorySource(text.encode()), None)


@pytest.mark.parametrize("value", [memoryview(b"abc"), memoryview(b"a.b.c")[::2], memoryview(b"")])
def test_other_buffers_come_back_as_bytes(value):
    assert bytes(value) == round_trip(value, MemorySource)
    assert format_for(value).id == "bytes@1"


def test_arrays_are_stored_without_a_copy_and_only_what_is_seen_of_them():
    header, data = format_for(LARGE).encode(LARGE).parts
    _, of_view = format_for(LARGE[5:7]).encode(LARGE[5:7]).parts

    assert np.shares_memory(np.frombuffer(data), LARGE)
    assert len(header) % 64 == 0
    assert len(of_view) == 16


def test_a_mapped_array_is_stored_without_a_copy_and_arrives_as_an_array(tmp_path):
    mapped = np.memmap(tmp_path / "data", dtype="f8", mode="w+", shape=(300, 4))
    mapped[:] = np.arange(1200).reshape(300, 4)

    for value in (mapped, mapped.T, mapped[5], mapped[::-2, 1:], mapped[1:1]):
        back = round_trip(value, MemorySource)

        assert format_for(value).id == "npy@1"
        assert type(back) is np.ndarray
        assert same_array(np.asarray(value), back)
    assert np.shares_memory(np.frombuffer(format_for(mapped).encode(mapped).parts[1]), mapped)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "int4"])
def test_arrays_of_another_package_s_dtypes_are_left_to_others(name):
    extension = pytest.importorskip("ml_dtypes")

    assert format_for(np.zeros(3, dtype=getattr(extension, name))).id == "pickle5@1"


def test_arrays_keep_their_memory_order():
    in_columns = np.asfortranarray(np.arange(6.0).reshape(2, 3))

    assert round_trip(in_columns, MemorySource).flags.f_contiguous
    assert round_trip(in_columns.T, MemorySource).flags.c_contiguous


def test_arrow_tables_and_pickled_arrays_are_stored_without_a_copy():
    table = pa.table({"x": LARGE})
    of_table = max(format_for(table).encode(table).parts, key=len)
    of_pickle = max(format_for(Point(1, LARGE)).encode(Point(1, LARGE)).parts, key=len)

    assert pa.py_buffer(of_table).address == table.column("x").chunk(0).buffers()[1].address
    assert np.shares_memory(np.frombuffer(of_pickle), LARGE)


@pytest.mark.parametrize("value", [LARGE, Point(1, LARGE)])
def test_a_large_array_is_mapped_writable_and_its_file_unchanged(value, tmp_path):
    sources = []
    back = round_trip(value, lambda data: sources.append(in_file(tmp_path, data)) or sources[0])
    before = sources[0].path().read_bytes()
    array = back if isinstance(back, np.ndarray) else back.data
    array[0] = 9

    assert sources[0].reads == 0
    assert before == sources[0].path().read_bytes()
    assert array.flags.writeable
    assert array.flags.aligned


def test_small_arrays_and_frames_are_writable_too(tmp_path):
    for source in (MemorySource, lambda data: in_file(tmp_path, data)):
        array = round_trip(np.arange(3), source)
        array[0] = 5
        table = round_trip(frame(x=LARGE, y=LARGE), source)
        table.iloc[0, 0] = 5
        table.loc[1, "y"] = 5

        assert (array[0], table.iloc[0, 0], table.loc[1, "y"]) == (5, 5, 5)


def test_a_mapped_table_allocates_nothing(tmp_path):
    source = in_file(tmp_path, bytes(format_by_id("arrow@1").encode(pa.table({"x": LARGE}))))
    before = pa.total_allocated_bytes()
    table = format_by_id("arrow@1").decode(source, "table")

    assert LARGE.nbytes == table.nbytes
    assert pa.total_allocated_bytes() - before < 10_000


def test_tables_become_the_class_that_is_wanted():
    sources = [pa.table({"x": [1, 2]}), frame(x=[1, 2]), pl.DataFrame({"x": [1, 2]})]
    for name in ("arrow", "parquet"):
        for value in sources:
            form = format_for(value, name)
            kinds = [
                type(round_trip(value, MemorySource, form, want))
                for want in ("table", "dataframe", "polars", "any", None)
            ]

            assert [pa.Table, pd.DataFrame, pl.DataFrame, type(value), type(value)] == kinds


def test_parquet_is_taken_on_request_and_read_from_any_folder(tmp_path):
    value = frame(a=[1, None], b=["x", "y"], t=pd.to_datetime(["2026-11-23T00:00:00.000000001", None]))
    form = format_for(value, "parquet")
    (tmp_path / "part=1").mkdir()
    source = in_file(tmp_path / "part=1", bytes(form.encode(value)))

    assert form.id == "parquet@1"
    assert same(value, form.decode(source, None))
    assert pq.ParquetFile(source.path()).read().column_names == ["a", "b", "t"]


def test_whoever_wants_the_stored_bytes_or_their_file_gets_them(tmp_path):
    for id_, value in {"json@1": [1], "text@1": "ä", "bytes@1": b"x", "npy@1": LARGE, "arrow@1": frame(a=[1])}.items():
        form = format_by_id(id_)
        data = bytes(form.encode(value))
        source = in_file(tmp_path, data)

        assert data == form.decode(source, "bytes")
        assert source.path() == form.decode(source, "path")


def test_text_and_bytes_become_each_other_where_they_can():
    assert "ä".encode() == round_trip("ä", MemorySource, want="bytes")
    assert round_trip("ä".encode(), MemorySource, want="str") == "ä"
    with pytest.raises(DecodeError, match="annotate bytes"):
        round_trip(b"\xff", MemorySource, want="str")


@pytest.mark.parametrize(
    ("value", "want"),
    [("x", "ndarray"), (b"x", "dataframe"), (LARGE, "table"), (LARGE, "str"), (frame(a=[1]), "ndarray")],
)
def test_an_annotation_that_cannot_be_met_says_what_to_annotate(value, want):
    with pytest.raises(DecodeError, match=f"does not become a {want}; annotate"):
        round_trip(value, MemorySource, want=want)


@pytest.mark.parametrize(
    ("requested", "value"),
    [
        ("npy", np.array([{}], dtype=object)),
        ("npy@1", [1, 2]),
        ("npy", np.zeros(2).view(Array)),
        ("text", b"x"),
        ("bytes", "x"),
        ("json", Point(1)),
        ("json", [b"x" * 5000]),
        ("json@1", [b"x"]),
        ("arrow", {"a": [1]}),
        ("arrow", frame(a=pd.Series([1, "x"], dtype=object))),
        ("parquet", pd.DataFrame([[1, 2]], columns=["same", "same"])),
        (None, pa.table({"a": [1, 2]}).select([])),
    ],
)
def test_a_format_refuses_what_it_cannot_hold_and_says_what_to_do(requested, value):
    with pytest.raises(NoFormatError) as caught:
        format_for(value, requested).encode(value)

    first, _, remedy = caught.value.message.partition(";")
    assert ":" not in first
    assert remedy


def test_an_array_whose_fields_are_renamed_leaves_others_as_they_are(storage):
    array = np.zeros(4, dtype=[("a", "u1"), ("b", "u1")])
    first, second = (storage.put(array).load() for _ in range(2))
    first.dtype.names = ("b", "a")

    assert second.dtype == storage.put(array).load().dtype == array.dtype


def test_arrays_of_objects_are_never_read_from_npy(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([Point(1)], dtype=object), allow_pickle=True)
    data = (tmp_path / "objects.npy").read_bytes()

    for source in (MemorySource(data), FileSource(tmp_path / "objects.npy")):
        with pytest.raises(DecodeError):
            format_by_id("npy@1").decode(source, "ndarray")


def test_files_of_other_writers_are_read(tmp_path):
    names = np.zeros(2, dtype=[("größe", "f4"), ("日本", "i4")])
    for written in (LARGE, names, np.asfortranarray(LARGE.reshape(2, -1))):
        with pytest.warns(UserWarning, match="format 3.0") if written is names else nullcontext():
            np.save(tmp_path / "array.npy", written)

        assert same(written, format_by_id("npy@1").decode(FileSource(tmp_path / "array.npy"), None))


def test_formats_are_known_by_id_and_by_name():
    ids = ["text@1", "json@1", "bytes@1", "npy@1", "arrow@1", "parquet@1", "pickle5@2"]

    assert ids == [format_by_id(id_).id for id_ in ids]
    assert ids == [format_for(None, id_.partition("@")[0]).id for id_ in ids]
    assert [id_ for id_ in ["pickle5@1", *ids] if not format_by_id(id_).safe] == ["pickle5@1", "pickle5@2"]


@pytest.mark.parametrize("id_", ["npy@2", "nothing@1", "acme/nothing@1", "", "npy@"])
def test_unknown_formats_are_refused(id_):
    with pytest.raises(UnknownFormatError):
        format_by_id(id_)
    with pytest.raises(UnknownFormatError):
        format_for(1, id_ or "nothing")


@pytest.mark.ecosystem
@pytest.mark.slow
def test_without_pyarrow_a_dataframe_names_the_extra():
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import pandas as pd\n"
        "from lucas_storage.errors import MissingDependencyError\n"
        "from lucas_storage.formats import format_for\n"
        "try: format_for(pd.DataFrame({'a': [1]}))\n"
        "except MissingDependencyError as error: print(error.message)\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "lucas-storage[arrow]" in answer.stdout
    assert issubclass(MissingDependencyError, Exception)


def test_choosing_a_format_imports_no_package_that_the_value_did_not():
    script = (
        "import sys\n"
        "from lucas_storage.formats import format_for\n"
        "class Mine: pass\n"
        "for value in (None, [1], 'x', b'x', Mine(), 1j): format_for(value)\n"
        "heavy = {'numpy', 'pyarrow', 'pandas', 'polars', 'grpc', 'cloudpickle'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


class Refusing(Source):
    """Bytes that cannot be had."""

    def __init__(self, error):
        self.error = error

    def read(self):
        raise self.error

    def path(self):
        raise self.error


@pytest.mark.parametrize("error", [PermissionError("no right to read"), InvalidParameterError("no such bucket")])
@pytest.mark.parametrize("form", ["npy@1", "arrow@1", "parquet@1", "json@1", "text@1", "bytes@1", "tests/refused@1"])
def test_bytes_that_cannot_be_had_are_no_damaged_value(form, error):
    @register_format("tests/refused@1", Refusing, safe=True)
    class Raw:
        def decode(self, source, want):
            del want
            return source.read()

    with pytest.raises(type(error)) as raised:
        format_by_id(form).decode(Refusing(error), None)

    assert raised.value is error


class Untidy:
    """Garbage that runs code when it is found, in the middle of what the interpreter does."""

    def __init__(self):
        self.me = self

    def __del__(self):
        for _ in range(3):
            pass


def test_arrays_are_read_by_many_threads_at_once(thorough):
    encoded = bytes(format_by_id("npy@1").encode(np.arange(3)))

    def read(_):
        [Untidy() for _ in range(3)]
        return format_by_id("npy@1").decode(MemorySource(encoded), None).sum()

    before, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(5, 2, 2)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(read, range(6000 if thorough else 1000))) == {3}
    finally:
        gc.set_threshold(*before)
        sys.setswitchinterval(interval)
