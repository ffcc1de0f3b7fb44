"""What arrives, whatever the threshold: streams item by item, dataclasses field by field, and any nested value."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Optional

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage import ArtifactRef, Out, with_storage
from lucas_storage.errors import ArtifactNotFoundError, DecodeError, NoFormatError
from lucas_storage.refs import TAG

pytestmark = pytest.mark.usefixtures("settings")

LINES = [b"one\n", b"", b"three three\n", b"\x00\xff", b"x" * 10_000]


def returned(value, annotation=Any, **options):
    """Return what a decorated function gives its engine, after a trip through JSON; a generator function is called."""

    def step():
        return value() if callable(value) else value

    step.__annotations__["return"] = annotation
    return json.loads(json.dumps(with_storage(**options)(step)()))


def received(value, annotation=Any):
    """Return what a decorated function sees for a parameter; an iterator is read within."""

    def step(x):
        seen.append(list(x) if isinstance(x, Iterator) else x)

    seen: list[Any] = []
    step.__annotations__["x"] = annotation
    with_storage(step)(x=value)
    return seen[0]


def ref_of(travelling):
    return ArtifactRef.parse(travelling)


def test_a_generator_is_a_stream_and_its_items_stay_apart():
    @with_storage
    def errors(log: Path) -> Iterator[bytes]:
        with log.open("rb") as file:
            yield from (line for line in file if b"ERROR" in line)

    @with_storage
    def count(lines: Iterator[bytes]) -> int:
        return sum(1 for _ in lines)

    made = errors(log=returned(b"ERROR a\nfine\nERROR b\nlast ERROR"))

    assert (ref_of(made).format, ref_of(made).kind) == ("stream@1", "manifest")
    assert count(lines=made) == 3


@pytest.mark.parametrize(
    ("annotation", "seen"),
    [
        (Iterator[bytes], LINES),
        (Iterable[bytes], LINES),
        (Iterator, LINES),
        (list[bytes], LINES),
        (Any, LINES),
        (Iterator[bytes] | None, LINES),
        (bytes, b"".join(LINES)),
        (Optional[bytes], b"".join(LINES)),  # noqa: UP045 -- users write it
    ],
    ids=str,
)
def test_a_stream_of_bytes_arrives_as_annotated(annotation, seen):
    assert seen == received(returned(lambda: iter(LINES)), annotation)


def test_a_stream_of_bytes_is_a_plain_file():
    travelling = returned(lambda: iter(LINES), Annotated[Iterator[bytes], Out(name="lines.txt")])

    @with_storage
    def step(path: Path, file: BinaryIO):
        with file:
            return [path.name, path.read_bytes() == file.read() == b"".join(LINES)]

    assert step(path=travelling, file=travelling) == ["lines.txt", True]
    assert received(returned(lambda: iter([b"h\xc3", b"\xa9"])), str) == "hé"


def test_records_arrive_one_by_one_with_their_values():
    def rows():
        for n in range(3):
            yield {"n": n, "array": np.full(5000, n), "nan": float("nan"), "pair": (n, b"x")}

    travelling = returned(rows)
    for annotation in (Iterator[dict], Iterator[Any], list[dict], Any):
        arrived = received(travelling, annotation)

        assert [row["n"] for row in arrived] == [0, 1, 2]
        assert all(np.array_equal(row["array"], np.full(5000, row["n"])) for row in arrived)
        assert [row["pair"] for row in arrived] == [(n, b"x") for n in range(3)]


def test_items_are_made_into_what_is_annotated():
    frames = [pd.DataFrame({"a": range(n)}) for n in (3, 4000)]

    assert [type(one) for one in received(returned(lambda: iter(frames)), Iterator[pl.DataFrame])] == [pl.DataFrame] * 2
    assert [type(one) for one in received(returned(lambda: iter(frames)), list[pa.Table])] == [pa.Table] * 2
    assert received(returned(lambda: iter(["a", "b"])), Iterator[bytes]) == [b"a", b"b"]


def test_options_of_items_are_followed():
    def tables():
        yield pd.DataFrame({"a": [1, 2]})

    (ref,) = received(returned(tables, Iterator[Annotated[pd.DataFrame, Out("parquet")]]), Iterator[ArtifactRef])

    assert ref.format == "parquet@1"


@pytest.mark.parametrize(
    "items", [[], [None], [None, 1], [[]], [{TAG: "mine", "more": 1}], ["a\nb", "\ud800"]], ids=repr
)
def test_any_json_data_can_be_an_item(items):
    assert items == received(returned(lambda: iter(items)), Iterator[Any])
    assert items == received(returned(lambda: iter(items)))


@pytest.mark.usefixtures("small_parts")
def test_an_item_is_read_when_it_is_asked_for():
    seen = []

    @with_storage
    def step(x: Iterator[bytes]):
        seen.append(next(x))

    rng = np.random.default_rng(1)
    travelling = returned(lambda: (rng.bytes(5000) for _ in range(40)))
    step(x=travelling)

    assert len(seen[0]) == 5000


def test_a_generator_runs_where_its_function_did():
    @with_storage
    def step():
        def numbers():
            yield threading.get_ident()

        return {"a": numbers(), "b": numbers(), "c": np.arange(5000), "d": np.arange(6000)}

    out = step()

    assert received(out["a"]) == received(out["b"]) == [threading.get_ident()]


def test_a_generator_that_changes_its_mind_is_refused():
    with pytest.raises(TypeError, match="gave bytes and then a str"):
        returned(lambda: iter([b"a", "b"]))


def test_what_an_item_cannot_be_is_named():
    with pytest.raises(NoFormatError, match="cannot be pickled"):
        returned(lambda: iter([1, threading.Lock()]))


def test_an_item_that_is_gone_names_the_parameter(storage):
    travelling = returned(lambda: iter([{"a": np.arange(9000)}]))
    for one in list(storage.iter_objects(storage.bucket, "a/")):
        if one["size"] > 9000:
            storage.delete_object(storage.bucket, one["key"])

    with pytest.raises(ArtifactNotFoundError) as caught:
        received(travelling, Iterator[dict])

    assert (caught.value.function, caught.value.param) == ("step", "x")


def test_a_stream_becomes_no_array():
    with pytest.raises(DecodeError, match=r"stream@1 does not become a ndarray; annotate Iterator"):
        received(returned(lambda: iter([1])), np.ndarray)


@pytest.mark.parametrize(
    ("value", "seen"),
    [("text", b"text"), (b"abc", b"abc"), (bytearray(b"abc"), b"abc"), (np.arange(3, dtype="u1"), None)],
    ids=["str", "bytes", "bytearray", "ndarray"],
)
def test_pieces_of_what_came_inline_are_those_of_what_was_stored(value, seen):
    inline = b"".join(received(value, Iterator[bytes]))

    assert inline == b"".join(received(returned(value, inline_max=0), Iterator[bytes]))
    assert seen in (None, inline)


def test_pieces_of_a_local_file(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")

    assert received(tmp_path / "f", Iterator[bytes]) == [b"abc"]


@dataclass
class Inner:
    table: pd.DataFrame
    note: str = "none"


@dataclass(frozen=True)
class Config:
    data: np.ndarray
    files: list[Path]
    inner: Inner | None = None
    rate: float = 0.1
    ref: ArtifactRef | None = None


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)


def test_a_dict_becomes_the_dataclass_that_is_annotated(tmp_path):
    (tmp_path / "f").write_bytes(b"abc" * 2000)
    parts = {"data": np.arange(5000), "files": [tmp_path / "f"], "inner": {"table": pd.DataFrame({"a": [1]})}}
    travelling = returned({**parts, "ref": b"x" * 9000})
    back = received(travelling, Config)

    assert isinstance(back, Config)
    assert (len(back.data), back.files[0].read_bytes(), back.rate) == (5000, b"abc" * 2000, 0.1)
    assert isinstance(back.inner, Inner)
    assert (back.inner.table["a"].tolist(), back.inner.note) == ([1], "none")
    assert isinstance(back.ref, ArtifactRef)


@pytest.mark.parametrize("annotation", ["Config", "Config | None", "list[Config]", "dict[str, Config]"])
@pytest.mark.parametrize("inline_max", [0, 65536])
def test_dataclasses_are_found_in_text_and_in_containers(annotation, inline_max):
    value = {"data": np.arange(3), "files": []}
    wrapped = {"list": [value], "dict": {"k": value}}.get(annotation.partition("[")[0], value)

    arrived = received(returned(wrapped, inline_max=inline_max), annotation)
    one = {"list": lambda: arrived[0], "dict": lambda: arrived["k"]}.get(
        annotation.partition("[")[0], lambda: arrived
    )()

    assert type(one) is Config
    assert one.data.tolist() == [0, 1, 2]


def test_an_instance_arrives_with_its_fields_filled():
    ref = ref_of(returned(np.arange(5000)))
    frozen = Config(data=ref, files=[], inner=Inner(table=ref_of(returned(pd.DataFrame({"a": [1]})))))

    for travelling in (frozen, returned(frozen)):
        back = received(travelling, Config)

        assert (type(back), len(back.data), back.inner.table["a"].tolist()) == (Config, 5000, [1])
    assert frozen.data is ref


def test_an_instance_is_the_steps_own():
    value = Node("a", [Node("b")])
    arrived = received(value, Node)
    arrived.children.append(arrived.children[0])
    arrived.children[0].name = "c"

    assert value == Node("a", [Node("b")])


def test_a_class_within_itself_is_filled_once():
    back = received({"name": "a", "children": [{"name": "b"}]}, Node)

    assert back == Node("a", [{"name": "b"}])


def test_a_dict_that_does_not_fit_is_refused_by_name():
    with pytest.raises(TypeError, match=r"parameter 'x' of 'step' is annotated Config and got a dict.*'files', 'more'"):
        received({"data": 1, "more": 2}, Config)


def test_what_is_neither_dict_nor_instance_stays_what_it_is():
    assert received([1, 2], Config) == [1, 2]
    assert received(5, Config) == 5


def test_a_single_dataclass_parameter_takes_all_inputs():
    @with_storage
    def step(config: Node) -> str:
        return config.name

    assert step({"name": "a", "children": []}) == "a"


def test_a_dataclass_of_a_script_is_known_where_the_function_runs(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from __future__ import annotations\n"
        "import sys, cloudpickle\n"
        "from dataclasses import dataclass\n"
        "from lucas_storage import with_storage\n"
        "@dataclass\n"
        "class Inner:\n"
        "    n: int\n"
        "@dataclass\n"
        "class Options:\n"
        "    raw: bytes\n"
        "    inner: Inner\n"
        "@with_storage\n"
        "def step(options: Options) -> list:\n"
        "    return [type(options).__name__, options.raw.decode(), options.inner.n]\n"
        "sys.stdout.buffer.write(cloudpickle.dumps(step))\n"
    )
    shipped = subprocess.run([sys.executable, str(script)], capture_output=True, check=True, timeout=60).stdout

    step = cloudpickle.loads(shipped)

    assert step(options={"raw": "text", "inner": {"n": 3}}) == ["Options", "text", 3]


def equal(one, other):
    """Compare nested values, arrays and tables among them, by type and content."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, (pd.DataFrame, pl.DataFrame, pa.Table)):
        return type(one) is type(other) and one.equals(other)
    if isinstance(one, dict):
        return type(other) is dict and list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return type(other) is list and len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and repr(one) == repr(other)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
columns = st.lists(st.integers(-9, 9), max_size=5)
leaves = (
    scalars
    | st.binary(max_size=50)
    | st.integers(4000, 6000).map(bytes)
    | st.integers(0, 70_000).map("x".__mul__)
    | st.lists(st.floats(allow_nan=False), max_size=5).map(np.array)
    | st.integers(0, 3000).map(np.arange)
    | columns.map(lambda items: pd.DataFrame({"a": items, "b": [str(item) for item in items]}))
    | columns.map(lambda items: pl.DataFrame({"a": pl.Series(items, dtype=pl.Int64)}))
    | columns.map(lambda items: pa.table({"a": pa.array(items, pa.int64())}))
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(values)
def test_the_result_is_the_same_whatever_the_threshold(value):
    arrived = [received(returned(value, inline_max=limit)) for limit in (0, 1, 64 << 10, 1 << 60)]

    assert all(equal(value, one) for one in arrived)


@given(st.lists(values, max_size=4))
def test_streams_are_the_same_whatever_the_threshold(items):
    if items and isinstance(items[0], bytes):
        items = [item for item in items if isinstance(item, bytes)]
    arrived = [received(returned(lambda: iter(items), inline_max=limit), Iterator[Any]) for limit in (0, 1, 1 << 60)]

    assert all(equal(items, one) for one in arrived)
