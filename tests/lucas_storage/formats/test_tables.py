"""Tables come back equal from every format, chosen or asked for, or are refused by the name of what would change."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import zoneinfo
from decimal import Decimal
from typing import Annotated

import dateutil.tz
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lucas_storage import ArtifactRef, In, Out, Storage, storage_context, with_storage
from lucas_storage.errors import DecodeError, LimitError, NoFormatError, UnsafeFormatError
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import MemorySource
from lucas_storage.signing import SigningKeys, sign, verify

KEYS = SigningKeys((b"a secret of the writer and reader",))
FORMATS = [None, "arrow", "parquet"]
DAYS = pd.date_range("2024-12-23", periods=3)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


class Subclass(pd.DataFrame):
    @property
    def _constructor(self):
        return Subclass


def frame(*values, **options):
    return pd.DataFrame({"first": range(len(values)), "a": pd.Series(list(values), **options)})


def objects(*values):
    return frame(*values, dtype=object)


def indexed(index, name=None):
    return pd.DataFrame({"a": range(len(index))}, index=index.rename(name) if name else index)


def named(*names, **options):
    return pd.DataFrame([range(len(names))], columns=pd.Index(names, tupleize_cols=False, **options))


def levelled(*names):
    return pd.DataFrame([range(len(names))], columns=pd.MultiIndex.from_tuples(names, names=["x", None]))


def backed(values, kind):
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)]))


def with_attributes(**attributes):
    found = frame(1)
    found.attrs = attributes
    return found


def same(one, other):
    """Equal, of one type, and equal in what the class's own equality leaves out."""
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True, check_freq=True)
        kept = one.attrs == other.attrs and one.flags == other.flags
        return type(one) is type(other) and kept and _left_out(one) == _left_out(other)
    if isinstance(one, pl.DataFrame):
        return one.equals(other) and one.schema == other.schema and one.shape == other.shape
    if repr(one.schema) != repr(other.schema) or not one.schema.equals(other.schema, check_metadata=True):
        return False
    return one.shape == other.shape and (one.equals(other) or repr(one.to_pydict()) == repr(other.to_pydict()))


def _left_out(table):
    every = [table.iloc[:, index] for index in range(table.shape[1])]
    objects = [[(type(value), repr(value)) for value in column] for column in every if str(column.dtype) == "object"]
    return objects, [list(column.cat.categories) for column in every if str(column.dtype) == "category"]


def after(value, form):
    encoded = form.encode(value)
    ref = ArtifactRef(bucket="bucket", key="k", digest=encoded.digest(), size=encoded.size, format=form.id)
    proof = None if form.safe else verify(sign(ref, KEYS), KEYS)
    return form.decode(MemorySource(bytes(encoded)), None, proof=proof)


def assert_equal_or_refused(value, requested):
    """Assert the one rule of this module, and return the id of the format, or the text of the refusal."""
    try:
        form = format_for(value, requested)
        back = after(value, form)
    except NoFormatError as error:
        clause = error.message.partition(";")[0]
        assert "breaks a rule of Arrow" in clause or clause.startswith(f"{requested or 'arrow'}@1 cannot hold ")
        assert (
            "column" in clause
            or "metadata" in clause
            or "index" in clause
            or "(attrs)" in clause
            or "flags" in clause
            or "rows" in clause
        )
        return error.message
    assert same(value, back)
    return form.id


OFFSETS = [
    pd.DateOffset(months=1),
    pd.DateOffset(days=2),
    pd.offsets.CustomBusinessDay(holidays=["2024-12-25"]),
    pd.offsets.CustomBusinessDay(weekmask="Sun Mon"),
    pd.offsets.BusinessHour(start="10:00", end="12:00"),
    pd.offsets.CBMonthEnd(holidays=["2024-12-31"]),
    pd.offsets.LastWeekOfMonth(weekday=0),
    pd.offsets.FY5253Quarter(weekday=4, startingMonth=8, qtr_with_extra_week=1, variation="last"),
    pd.offsets.MonthEnd(normalize=True),
    pd.offsets.Easter(),
    pd.offsets.Week(weekday=2),
    pd.offsets.BDay(2),
    pd.offsets.Day(-1),
    pd.offsets.Milli(5),
]


@pytest.mark.few(4)
@pytest.mark.parametrize("offset", OFFSETS, ids=repr)
def test_every_frequency_of_an_index_comes_back(offset):
    for zone in (None, "Europe/Berlin"):
        value = indexed(pd.date_range("2024-12-23", periods=4, freq=offset, tz=zone))
        for requested in FORMATS:
            assert assert_equal_or_refused(value, requested) == f"{requested or 'arrow'}@1"
        assert value.index.freq == offset


def test_a_frequency_that_the_values_do_not_have_is_left_to_others():
    """pandas begins with a time that business days with an offset do not have."""
    value = indexed(pd.date_range("2024-12-23", periods=4, freq=pd.offsets.BDay(offset=dt.timedelta(hours=2))))

    assert assert_equal_or_refused(value, None) == "pickle5@1"
    assert "DataFrame; its frequency <BusinessDay: offset" in assert_equal_or_refused(value, "arrow")


def test_a_frequency_of_pandas_own_alias_is_written_as_before():
    table = format_by_id("arrow@1").decode(MemorySource(bytes(format_by_id("arrow@1").encode(indexed(DAYS)))), "bytes")

    assert pa.ipc.open_stream(table).schema.metadata[b"lucas.index_freq"] == b"D"


def test_a_frequency_that_makes_no_sense_is_a_decode_error():
    for text in (
        '{"offset":"Path","n":1,"normalize":false,"arguments":{}}',
        '{"offset":1}',
        "{",
        "<DateOffset: months=1>",
    ):
        table = pa.Table.from_pandas(indexed(DAYS))
        labels = {"lucas.class": "dataframe", "lucas.index_freq": text}
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema.with_metadata({**table.schema.metadata, **labels})) as writer:
            writer.write_table(table.replace_schema_metadata({**table.schema.metadata, **labels}))

        with pytest.raises(DecodeError, match="does not become a DataFrame"):
            format_by_id("arrow@1").decode(MemorySource(bytes(sink.getvalue())), None)


PANDAS = {
    # indexes
    "range": indexed(pd.RangeIndex(9, 3, -2), "r"),
    "floats": indexed(pd.Index([1.5, np.nan])),
    "seconds": indexed(pd.DatetimeIndex(["2020", "NaT"]).as_unit("s")),
    "periods": indexed(pd.PeriodIndex(["2020Q1", "NaT"], freq="Q-FEB")),
    "intervals": indexed(pd.interval_range(0, 2, closed="both")),
    "categories": indexed(pd.CategoricalIndex(["a", "b"], categories=["z", "b", "a"], ordered=True)),
    "nullable index": indexed(pd.Index(pd.array([1, None], "Int64"))),
    "dates": indexed(pd.Index([dt.date(2020, 1, 1), None], dtype=object)),
    "late object": indexed(pd.Index(["a", "b", 3], dtype=object)),
    "levels": indexed(pd.MultiIndex.from_product([["x"], [1, 2]], names=["k", "k"])),
    "numbered levels": indexed(pd.MultiIndex.from_product([["x"], [1, 2]], names=[0, 1])),
    "missing in a level": indexed(pd.MultiIndex([[1, 2], ["a"]], [[0, 1, -1], [0, 0, 0]])),
    "frequency of a level": indexed(pd.MultiIndex.from_product([DAYS, ["a"]])),
    "named by a tuple": indexed(pd.Index([4, 5]), ("x", "y")),
    "named by a number": indexed(pd.Index([4, 5]), 5),
    "named as Arrow would": indexed(pd.Index([4, 5]), "__index_level_0__"),
    # names of columns
    "range of names": pd.DataFrame(np.zeros((2, 3))),
    "floats as names": named(1.5, 2.0),
    "bools as names": named(True, False),  # noqa: FBT003
    "tuples as names": named(("a", 1), ("b", 2)),
    "dates as names": named(*DAYS),
    "days as names": pd.DataFrame([[1, 2, 3]], columns=DAYS),
    "periods as names": pd.DataFrame([[1, 2]], columns=pd.period_range("2020", periods=2, freq="M")),
    "timedeltas as names": pd.DataFrame([[1, 2]], columns=pd.to_timedelta([1, 2], unit="s")),
    "levels of names": levelled(("a", 1), ("b", 2)),
    "mixed levels of names": levelled(("a", 1), ("b", "c")),
    "mixed names": named("a", 1),
    "no name": named("a", None),
    "one name twice": named("a", "a"),
    "surrogate as a name": named("\ud800", dtype=object),
    # columns
    **{f"object {kind}": objects(*values) for kind, values in {
        "dates": (dt.date(2020, 1, 1), None),
        "decimals": (Decimal("1.0"), Decimal("2.0")),
        "decimals of two scales": (Decimal("1.0"), Decimal("2.00")),
        "times": (dt.time(1), dt.time(2, fold=1)),
        "bytes": (b"x", None),
        "bytearray": (bytearray(b"x"),),
        "lists": ([1], [2]),
        "late list": ("a", "b", [1]),
        "dicts": ({"a": 1}, {"b": 2}),
        "arrays": (np.arange(2), np.arange(2)),
        "text": ("a", "b", None),
        "text and NaN": ("a", "b", np.nan),
        "text and NA": ("a", "b", pd.NA),
        "text and NaT": ("a", "b", pd.NaT),
        "late surrogate": ("a", "b", "\ud800"),
        "numpy text": (np.str_("a"), "b"),
        "numbers": (1, 2),
        "numbers and None": (1, 2, None),
        "bools": (True, False, None),
        "bools and a number": (True, 0),
        "None": (None, None),
        "tuples": ((1,), (2,)),
        "complex": (1j,),
    }.items()},
    **{f"dtype {dtype}": frame(0, 1, 1, dtype=dtype) for dtype in
       ("f2", ">i4", "c16", "u8", "Int8", "Float32", "boolean", "string", "Sparse[int]", "float64[pyarrow]", "m8[s]")},
    "late NaN that is not missing": pd.DataFrame(
        {"a": pd.arrays.FloatingArray(np.array([1, 2, np.nan, 4]), np.array([False, False, False, True]))}
    ),
    **{f"unit {unit}": frame("2020-01-01", None, dtype=f"M8[{unit}]") for unit in ("s", "ms", "us", "ns")},
    **{f"zone {zone}": indexed(pd.DatetimeIndex(["2020", "NaT"], tz=zone)) for zone in (
        BERLIN, dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30)),
        dt.timezone(dt.timedelta(hours=1, seconds=3)), zoneinfo.ZoneInfo("Etc/GMT+5"))},
    **{f"categories {kind}": pd.DataFrame({"a": pd.Categorical(values, categories=every, ordered=True)})
       for kind, (values, every) in {
        "text": (["a", "b"], ["z", "b", "a"]), "numbers": ([1, 2], [3, 2, 1]), "none": ([None], []),
        "mixed": ([1, "a"], [1, "a"]),
        "times": (pd.DatetimeIndex(["2020", "2022"]), None), "intervals": (pd.interval_range(0, 2), None),
        "late": (["a", "b"], ["a", "b", "c", 1])}.items()},
    **{f"arrow {kind}": pd.DataFrame({"a": backed(values, kind)})
       for kind, values in {
        pa.list_(pa.int64()): [[1], None], pa.struct([("x", pa.int64())]): [{"x": 1}, None], pa.string(): ["a", None],
        pa.decimal128(5, 2): [Decimal(1), None], pa.dictionary(pa.int32(), pa.string()): ["a", None],
        pa.timestamp("s", "Europe/Berlin"): [1, None], pa.null(): [None], pa.binary(): [b"a"]}.items()},
    # frames
    "no columns": pd.DataFrame(index=range(3)),
    "an index alone": pd.DataFrame(index=list("abc")),
    "no rows": frame(1.5).iloc[:0],
    "nothing": pd.DataFrame(),
    "rows of another": frame(*"abcdefgh").iloc[1:7:2],
    "attributes": with_attributes(x=1, y=[1, {"z": None}]),
    "attributes that JSON changes": with_attributes(x=(1, 2)),
    "flags": frame(1).set_flags(allows_duplicate_labels=False),
    "subclass": Subclass({"a": [1]}),
}  # fmt: skip


@pytest.mark.few(120)
@pytest.mark.parametrize("requested", FORMATS)
@pytest.mark.parametrize("name", PANDAS)
def test_a_frame_comes_back_equal_or_is_refused_by_name(name, requested):
    value = PANDAS[name]
    if name == "subclass" and requested:
        with pytest.raises(NoFormatError, match=r"cannot hold a value of type .*Subclass"):
            format_for(value, requested).encode(value)
    else:
        assert_equal_or_refused(value, requested)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("late list", "parquet@1 cannot hold column 'a' of a .*DataFrame; .*convert it, or leave the format out"),
        ("decimals of two scales", "column 'a' .*values of Decimal would change"),
        ("dicts", "column 'a' .*values of dict would change"),
    ],
)
def test_the_refusal_names_the_column_and_what_would_become_of_it(name, message):
    value = PANDAS[f"object {name}"]

    with pytest.raises(NoFormatError, match=message):
        format_for(value, "parquet").encode(value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("named by a tuple", "the index of a .*DataFrame; "),
        (
            "frequency of a level",
            "the index of a .*DataFrame; the frequency <.*Day> of a level would be lost; set it to None",
        ),
        ("one name twice", "the names of the columns of a .*; 'a' is there more than once"),
        ("mixed names", "the names of the columns of a .*; they are of the types int, str and would become text"),
        ("timedeltas as names", "the names of the columns"),
        ("flags", r"the flags of a .*allows_duplicate_labels=False.* would be lost"),
        ("attributes that JSON changes", r"the attributes \(attrs\)"),
        ("dtype c16", "column 'a'"),
        ("categories numbers", "column 'a' .*its dtype category would come back as int64"),
        ("no columns", "the index of a .*; ValueError, rows without columns would be lost"),
    ],
)
def test_the_refusal_names_what_is_no_column(name, message):
    if name == "frequency of a level" and PANDAS[name].index.get_level_values(0).freq is None:
        pytest.skip("this pandas has no frequency of a level")

    with pytest.raises(NoFormatError, match=f"parquet@1 cannot hold {message}"):
        format_for(PANDAS[name], "parquet").encode(PANDAS[name])


def test_a_frequency_that_the_values_lost_where_clocks_change_is_not_believed():
    """pandas 2 keeps ``D`` through `tz_convert`, though its days have become 24 hours."""
    value = indexed(pd.date_range("2024-10-24", periods=6, freq="D", tz="UTC").tz_convert("Europe/Berlin"))

    assert_equal_or_refused(value, None)
    assert_equal_or_refused(value, "arrow")


def test_a_zone_that_pyarrow_takes_for_another_is_left_to_others():
    zone = dateutil.tz.tzrange("EST", -18000, "EDT")
    try:
        value = indexed(pd.DatetimeIndex(["2020"]).tz_localize(zone))
    except (AttributeError, TypeError):
        pytest.skip("this pandas does not take the zones of this dateutil")

    assert_equal_or_refused(value, "arrow")


class Registered(pa.ExtensionType):
    def __init__(self, name="lucas.test"):
        super().__init__(pa.int32(), name)

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        del storage, serialized
        return cls()


class Unregistered(Registered):
    def __init__(self):
        super().__init__("lucas.test.unregistered")


@pytest.fixture(scope="module", autouse=True)
def _extension_type():
    pa.register_extension_type(Registered())
    yield
    pa.unregister_extension_type("lucas.test")


def extended(cls):
    return pa.table({"a": pa.ExtensionArray.from_storage(cls(), pa.array([1, None], pa.int32()))})


def column(*values, kind=None, name="a", **options):
    return pa.table(
        [pa.array(values, kind)], schema=pa.schema([pa.field(name, kind or pa.array(values).type, **options)])
    )


def dictionary(indices, values, **options):
    return pa.table({"a": pa.DictionaryArray.from_arrays(indices, pa.array(values), **options)})


def chunks(make):
    return pa.table({"a": pa.chunked_array([make(text) for text in "xyz"])})


SECONDS = pa.struct([("t", pa.list_(pa.timestamp("s"))), ("d", pa.struct([("x", pa.date64())]))])
WORDS = pa.array(["q"]).dictionary_encode()
UNION = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["x", "y"])])
ARROW = {
    "lists": column([1], None, []),
    "lists with names": column([1], kind=pa.list_(pa.field("mine", pa.int64(), nullable=False, metadata={"u": "m"}))),
    "large": pa.table({"a": pa.array(["x"], pa.large_string()), "b": pa.array([[1]], pa.large_list(pa.int8()))}),
    "of two": column([1, None], None, kind=pa.list_(pa.int64(), 2)),
    "of none": column([], [], kind=pa.list_(pa.int64(), 0)),
    "maps": column([("a", [1])], kind=pa.map_(pa.string(), pa.list_(pa.int64()))),
    "structs": column({"t": [1], "d": {"x": None}}, kind=SECONDS),
    "empty structs": column({}, None, kind=pa.struct([])),
    "seconds": pa.table({"a": pa.array([1], pa.timestamp("s", "Europe/Berlin")), "b": pa.array([1], pa.time32("s"))}),
    "durations": column(1, None, kind=pa.duration("s")),
    "date64": column(86_400_000, kind=pa.date64()),
    "date64 with time": pa.table({"a": pa.Array.from_buffers(pa.date64(), 1, [None, pa.py_buffer(bytes(7) + b"\1")])}),
    "months": column((1, 2, 3), kind=pa.month_day_nano_interval()),
    "NaN": column(1.5, float("nan"), None),
    "half": column(np.float16(1), None, kind=pa.float16()),
    "nulls": column(None, None),
    "unsigned": column(2**32 - 1, kind=pa.uint32()),
    "nothing wide": column(b"", kind=pa.binary(0)),
    "decimals": column(Decimal("1.5"), kind=pa.decimal256(50, 2)),
    "negative scale": column(None, kind=pa.decimal128(5, -2)),
    "dictionary": dictionary([1, 0, 1], ["x", "y", "unused"], ordered=True),
    "dictionary of numbers": dictionary([1, 0], [5, 6]),
    "dictionary of one twice": dictionary([1, 0], ["x", "x"]),
    "dictionary of null": dictionary([1, 0], ["x", None]),
    "small dictionary": dictionary(pa.array([0], pa.int8()), ["x"]),
    "dictionaries": chunks(lambda text: pa.array([text, "q"]).dictionary_encode()),
    "dictionaries in lists": chunks(lambda text: pa.array([[text]], pa.list_(WORDS.type))),
    "dictionary of a dictionary": pa.table({"a": pa.DictionaryArray.from_arrays([0], WORDS)}),
    "union": pa.table({"a": UNION}).slice(1),
    "runs": pa.table({"a": pa.RunEndEncodedArray.from_arrays([2, 3], ["x", "y"])}).slice(1, 1),
    "views": column("x" * 20, None, kind=pa.string_view()),
    "sliced": pa.table({"a": range(9), "s": list("abcdefghi"), "l": [[n] for n in range(9)]}).slice(2, 5),
    "no chunk": pa.table({"a": pa.chunked_array([], pa.string())}),
    "one name twice": pa.table([[1], [2]], names=["a", "a"]),
    "odd names": pa.table([[1], [2], [3]], names=["", "a.b", "a\0: ä"]),
    "metadata": column(1, nullable=False, metadata={"unit": "m"}).replace_schema_metadata({b"\xff": b"\0"}),
    "null where none may be": column(1, None, nullable=False),
    "own key": column(1).replace_schema_metadata({"lucas.class": "polars"}),
    "own key of a frequency": column(1).replace_schema_metadata({"lucas.index_freq": "D"}),
    "key of Parquet": column(1).replace_schema_metadata({"ARROW:schema": "nonsense"}),
    "extension": extended(Registered),
    "unregistered extension": extended(Unregistered),
    "tensors": pa.table({"a": pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(6.0).reshape(3, 2))}),
    "nothing": pa.table({}).replace_schema_metadata({"a": "b"}),
}  # fmt: skip


@pytest.mark.few(60)
@pytest.mark.parametrize("requested", FORMATS)
@pytest.mark.parametrize("name", ARROW)
def test_a_table_comes_back_equal_with_types_and_metadata_or_is_refused_by_name(name, requested):
    assert_equal_or_refused(ARROW[name], requested)


RESTORED = ["lists", "large", "maps", "seconds", "date64", "dictionary", "metadata", "sliced", "extension"]


@pytest.mark.parametrize("name", RESTORED)
def test_parquet_gives_types_back_that_it_does_not_have(name):
    assert assert_equal_or_refused(ARROW[name], "parquet") == "parquet@1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own key", "the metadata 'lucas.class' of a .*Table; the key is this package's; rename it"),
        ("unregistered extension", "column 'a' .*would come back as int32"),
        ("dictionary of a dictionary", "column 'a' "),
    ],
)
def test_a_table_that_a_stream_would_change_is_refused_by_name(name, message):
    with pytest.raises(NoFormatError, match=f"arrow@1 cannot hold {message}"):
        format_for(ARROW[name], "arrow").encode(ARROW[name])


@pytest.mark.parametrize("requested", FORMATS)
def test_rows_without_columns_are_refused_as_even_a_pickle_loses_them(requested):
    value = pa.table({"a": [1, 2]}).select([])

    with pytest.raises(NoFormatError, match=r"the rows of a .*; a table of 2 rows without columns loses their number"):
        format_for(value, requested).encode(value)


@pytest.mark.parametrize("requested", FORMATS)
def test_a_damaged_column_is_refused_before_it_is_stored(requested):
    offsets = pa.py_buffer(np.array([0, 1], "i4"))
    value = pa.table({"ok": [1], "bad": pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff")])})

    with pytest.raises(NoFormatError, match=r"column 'bad' of a pyarrow\.Table breaks a rule"):
        format_for(value, requested).encode(value)


def test_a_dictionary_of_many_texts_is_read_again_from_parquet(monkeypatch):
    """Its texts are in memory once, and not for every row."""
    monkeypatch.setattr("lucas_storage.limits.UNASKED", 1 << 20)
    value = pa.table({"a": pa.array([f"{number % 1000:030}" for number in range(5000)]).dictionary_encode()})

    assert assert_equal_or_refused(value, "parquet") == "parquet@1"
    data = bytes(format_by_id("parquet@1").encode(pa.table({"a": pa.array(["x" * 10_000] * 1000)})))
    with pytest.raises(LimitError):
        format_by_id("parquet@1").decode(MemorySource(data), None)


S = pl.Series
POLARS = {
    "categories": pl.DataFrame({"a": S(["b", "a", "b"], dtype=pl.Categorical)}),
    "enum": pl.DataFrame({"a": S(["b"], dtype=pl.Enum(["z", "b"]))}),
    "late enum": pl.DataFrame({"a": S(list("abc") * 9, dtype=pl.Enum(list("zcba")))}),
    "lists": pl.DataFrame({"a": S([["b"], None], dtype=pl.List(pl.Categorical))}),
    "arrays": pl.DataFrame({"a": S([[[1, 2], [3, 4]]], dtype=pl.Array(pl.Int8, (2, 2)))}),
    "structs": pl.DataFrame({"a": [{"x": [1, None]}, None]}),
    "decimals": pl.DataFrame({"a": [Decimal("1.50")]}),
    "times": pl.DataFrame({"a": [dt.time(1)], "b": [dt.timedelta(1)], "c": [dt.datetime(2020, 1, 1, tzinfo=BERLIN)]}),
    "units": pl.DataFrame({"a": S([1], dtype=pl.Duration("ms")), "b": S([1], dtype=pl.Datetime("ns"))}),
    "nulls": pl.DataFrame({"a": [None]}),
    "bytes": pl.DataFrame({"a": [b"x", None], "b": [1.5, float("nan")]}),
    "wide numbers": pl.DataFrame({"a": S([1], dtype=pl.Int128)}),
    "no name": pl.DataFrame({"": [1], "b": [2]}),
    "no rows": pl.DataFrame(schema={"a": pl.List(pl.Categorical), "b": pl.Decimal(10, 2), "c": pl.Enum(["a"])}),
    "nothing": pl.DataFrame(),
    "objects": pl.DataFrame({"a": S([object()], dtype=pl.Object)}),
    "arrays of nothing": pl.DataFrame({"a": S([[]], dtype=pl.Array(pl.Int8, 0))}),
}  # fmt: skip


@pytest.mark.few(30)
@pytest.mark.parametrize("requested", FORMATS)
@pytest.mark.parametrize("name", POLARS)
def test_a_polars_frame_comes_back_equal_or_is_refused_by_name(name, requested):
    assert_equal_or_refused(POLARS[name], requested)


@pytest.mark.parametrize("requested", FORMATS)
@pytest.mark.parametrize("name", ["objects", "arrays of nothing"])
def test_a_column_that_not_even_a_pickle_holds_is_refused_by_name(name, requested):
    with pytest.raises(NoFormatError, match=r"cannot hold column 'a' of a polars"):
        format_for(POLARS[name], requested).encode(POLARS[name])


class CountingFormat(type(format_by_id("parquet@1"))):
    """Parquet, with the bytes of the tables that were written and read to see whether they come back."""

    tried = 0

    def there_and_back(self, table):
        self.tried += table.nbytes
        return super().there_and_back(table)


@pytest.mark.parametrize("kind", [pd.DataFrame, pa.table, pl.DataFrame])
def test_large_numbers_are_not_read_to_see_whether_they_come_back(kind):
    form = CountingFormat()

    assert form.handles(kind({f"c{number}": np.arange(100_000.0) for number in range(4)}))
    assert 0 < form.tried < 1000


@pytest.mark.slow
def test_periods_are_read_as_periods_by_a_process_that_has_not_loaded_pandas(tmp_path):
    periods = pd.period_range("2026", periods=2, freq="M")
    value = pd.DataFrame({"p": periods, "i": pd.interval_range(0, 2)}, index=periods)
    (tmp_path / "data").write_bytes(bytes(format_for(value).encode(value)))
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lucas_storage.formats import format_by_id\n"
        "from lucas_storage.formats.base import MemorySource\n"
        "back = format_by_id('arrow@1').decode(MemorySource(Path(sys.argv[1]).read_bytes()), None)\n"
        "print(back.index.dtype, *back.dtypes)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "data"], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "period[M] period[M] interval[int64, right]"


_cells = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "Int32": st.none() | st.integers(-(2**31), 2**31 - 1),
    "float32": st.floats(width=32),
    "boolean": st.none() | st.booleans(),
    "string": st.none() | st.text(max_size=5),
    "category": st.none() | st.sampled_from(["x", "y", "z"]),
    "M8[us]": st.none() | st.datetimes(*map(dt.datetime.fromisoformat, ("1800-01-01", "2200-01-01"))),
    "m8[ms]": st.none() | st.integers(-(10**9), 10**9).map(lambda number: np.timedelta64(number, "ms")),
    "object": st.none() | st.text(st.characters(), max_size=3) | st.binary(max_size=3) | st.dates()
    | st.decimals(places=2, allow_nan=False)
    | st.booleans() | st.integers() | st.lists(st.integers(), max_size=2) | st.floats()
    | st.just(pd.NA),
}  # fmt: skip
_names = (
    st.text(max_size=3) | st.integers(0, 9) | st.dates() | st.none() | st.tuples(st.text(max_size=1), st.integers())
)


@st.composite
def frames(draw):
    rows = draw(st.integers(0, 4))
    dtypes = draw(st.lists(st.sampled_from(sorted(_cells)), max_size=3))
    columns = [pd.Series(draw(st.lists(_cells[dtype], min_size=rows, max_size=rows)), dtype=dtype) for dtype in dtypes]
    found = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(rows))
    names = draw(st.lists(_names, min_size=len(dtypes), max_size=len(dtypes)))
    found.columns = pd.Index(names, tupleize_cols=False, dtype=None if names else object)
    index = draw(st.sampled_from(["range", "text", "freq", "levels"]))
    if index == "text":
        found.index = pd.Index(
            draw(st.lists(st.text(max_size=2) | st.none(), min_size=rows, max_size=rows)), dtype=object
        )
    elif index == "freq":
        # longer at first: some offsets of older pandas make no range of one
        longer = pd.date_range("2024-02-27", periods=rows + 2, freq=draw(st.sampled_from(OFFSETS)), name="at")
        found.index = longer[:rows]
    elif index == "levels":
        found.index = pd.MultiIndex.from_arrays([range(rows), ["k"] * rows], names=["n", None])
    return found


@given(frames(), st.sampled_from(FORMATS))
@examples(max_examples=30)
def test_any_frame_comes_back_equal_or_is_refused_by_name(value, requested):
    assert_equal_or_refused(value, requested)


_LEAVES = {
    "int8": st.integers(-128, 127),
    "double": st.floats(),
    "string": st.text(max_size=3),
    "large_binary": st.binary(max_size=3),
    "timestamp[s]": st.integers(-(10**9), 10**9),
    "date64[ms]": st.dates(dt.date(1900, 1, 1)),
    "null": st.none(),
    "bool": st.booleans(),
    "duration[us]": st.integers(0, 10**9),
    str(pa.dictionary(pa.int8(), pa.string())): st.sampled_from(["", "x", "ä"]),
}
_PLAIN = [
    pa.int8(),
    pa.float64(),
    pa.string(),
    pa.large_binary(),
    pa.timestamp("s"),
    pa.date64(),
    pa.null(),
    pa.bool_(),
]
_types = st.recursive(
    st.sampled_from([*_PLAIN, pa.duration("us"), pa.dictionary(pa.int8(), pa.string())]),
    lambda inner: inner.map(pa.list_)
    | inner.map(lambda kind: pa.list_(kind, 2))
    | st.tuples(inner, inner).map(lambda pair: pa.struct([("x", pair[0]), ("y", pair[1])]))
    | inner.map(lambda kind: pa.map_(pa.string(), kind)),
    max_leaves=3,
)  # fmt: skip


def _values(kind):
    """Return a strategy for the values of an Arrow type, nulls among them."""
    types = pa.types
    if types.is_map(kind):
        found = st.lists(
            st.tuples(st.text(max_size=1), _values(kind.item_type)), max_size=2, unique_by=lambda pair: pair[0]
        )
    elif types.is_fixed_size_list(kind):
        found = st.lists(_values(kind.value_type), min_size=2, max_size=2)
    elif types.is_list(kind):
        found = st.lists(_values(kind.value_type), max_size=2)
    elif types.is_struct(kind):
        found = st.fixed_dictionaries({field.name: _values(field.type) for field in kind})
    else:
        found = _LEAVES[str(kind)]
    return st.none() | found


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 3))
    kinds = draw(st.lists(_types, min_size=1, max_size=2))
    return pa.table(
        [pa.array(draw(st.lists(_values(kind), min_size=rows, max_size=rows)), kind) for kind in kinds],
        names=list("ab")[: len(kinds)],
    )


@given(tables(), st.sampled_from(FORMATS))
@example(pa.table({"a": pa.array([None, [None] * 2, [None] * 2], pa.list_(pa.null()))}), "parquet")
@examples(max_examples=30)
def test_any_table_comes_back_equal_or_is_refused_by_name(value, requested):
    assert_equal_or_refused(value, requested)


@given(
    st.sampled_from(
        ["<i4", ">u2", "f2", "c8", "U3", "S2", "M8[D]", "m8[5s]", "?", "V3", (("a", ">i4"), ("b", "S2", (2,)))]
    ),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from("CF"),
    st.booleans(),
    st.randoms(use_true_random=False),
)
@examples(max_examples=30)
def test_any_array_comes_back_with_its_bytes(dtype, shape, order, turned, random):
    dtype = list(dtype) if isinstance(dtype, tuple) else dtype
    size = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
    whole = np.ndarray(shape, dtype, bytes(random.getrandbits(8) & 0x7F for _ in range(size)) or bytes(1), order=order)
    value = whole[::-1] if turned and shape else whole
    form = format_for(value)
    back = after(value, form)

    assert form.id == "npy@1"
    assert (back.dtype, back.shape, back.tobytes()) == (value.dtype, value.shape, value.tobytes())


def test_put_stores_equal_or_refuses_by_name(storage):
    for offset in OFFSETS[:5]:
        value = indexed(pd.date_range("2024-12-23", periods=4, freq=offset))
        ref = storage.put(value, format="parquet")

        assert ref.format == "parquet@1"
        assert same(value, storage.get(ref))
    with pytest.raises(NoFormatError, match="parquet@1 cannot hold column 'a'"):
        storage.put(PANDAS["object dicts"], format="parquet")
    assert same(PANDAS["flags"], storage.get(storage.put(PANDAS["flags"])))


@pytest.mark.usefixtures("settings")
def test_where_pickles_are_denied_the_refusal_names_what_had_to_be_pickled():
    found = {}
    with storage_context(pickle="deny"), Storage() as storage:
        for name, value in {"frame": PANDAS["object lists"], "array": np.array([{}], dtype=object)}.items():
            with pytest.raises(UnsafeFormatError) as caught:
                storage.put(value)
            found[name] = caught.value.message

    assert "DataFrame, of which arrow@1 cannot hold column 'a', can only be stored as a pickle" in found["frame"]
    assert "numpy.ndarray, of which npy@1 cannot hold the dtype 'O', can only be stored as a pickle" in found["array"]


@with_storage
def seconds(table: Annotated[pa.Table, In(columns=["b"])]) -> str:
    return str(table.schema.field("b").type)


def test_some_columns_of_a_parquet_file_have_the_types_that_were_written(storage):
    assert seconds(storage.put(ARROW["seconds"], format="parquet")) == "time32[s]"


@with_storage
def as_parquet(name: str) -> Annotated[pd.DataFrame, Out("parquet")]:
    return PANDAS[name]


@pytest.mark.usefixtures("storage")
def test_a_result_is_stored_as_its_annotation_asks_or_refused_by_name():
    assert ArtifactRef.parse(as_parquet("object dates")).format == "parquet@1"
    with pytest.raises(NoFormatError, match="parquet@1 cannot hold column 'a'"):
        as_parquet("object lists")


def test_a_stream_of_another_program_becomes_every_class(tmp_path):
    table = pa.table({"a": [1, 2], "p": pa.array([1, 2], pa.timestamp("s"))})
    pq.write_table(table, tmp_path / "other.parquet")
    source = MemorySource((tmp_path / "other.parquet").read_bytes())

    kinds = [type(format_by_id("parquet@1").decode(source, want)) for want in ("table", "dataframe", "polars")]
    assert kinds == [pa.Table, pd.DataFrame, pl.DataFrame]
