"""The result of a step is what its annotation says, or what would arrive as that; anything else is refused at once."""

from __future__ import annotations

import array
import enum
import io
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Generic, Literal, NamedTuple, TextIO, TypedDict, TypeVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest

from lucas_storage import ArtifactRef, Out, with_storage

pytestmark = pytest.mark.usefixtures("settings")
T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


class Options(TypedDict):
    size: int


@dataclass
class Settings:
    file: Path | None = None


class Nearer(Settings):
    pass


class Box(pydantic.BaseModel, Generic[T]):
    content: T


def returned(annotation, value):
    def function():
        return value

    function.__annotations__ = {"return": annotation}
    return with_storage(function)()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("content")
    return path


REFUSED = [
    (bytes, [1, 2], "bytes and is a list"),
    (bytes, "text", "bytes and is a str"),
    (bytes, {"a": 1}, "bytes and is a dict"),
    (bytes, None, "bytes and is None"),
    (str, 3, "str and is a int"),
    (str, b"bytes", "str and is a bytes"),
    (Path, "a.txt", "Path and is a str; return a Path, or bytes"),
    (Path | None, "a.txt", r"Path \| None and is a str; return a Path"),
    (Path, [], "Path and is a list"),
    (np.ndarray, [1.0], "np.ndarray and is a list"),
    (pd.DataFrame, {"a": [1]}, "pd.DataFrame and is a dict"),
    (pd.DataFrame, np.arange(3), "pd.DataFrame and is a numpy.ndarray"),
    (list[bytes], {"a": 1}, r"list\[bytes\] and is a dict"),
    (list[bytes], [b"a", "b"], r"list\[bytes\] and is a list with a str in it"),
    (list[str], "text", r"list\[str\] and is a str"),
    (dict[str, Path], {"a": {"b": 1}}, r"dict\[str, Path\] and is a dict with a dict in it"),
    (dict[str, list[Path]], {"a": ["b"]}, "and is a dict with a list with a str in it in it"),
    (tuple[Path, int], (1, 2), r"tuple\[Path, Any\] and is a tuple with a int in it"),
    (tuple[int, int], (1, 2, 3), "and is a tuple"),
    (set[str], {"a": 1}, "and is a dict"),
    (Settings, [1], "Settings and is a list"),
    (Settings, {"other": 1}, "Settings and is a dict"),
    (Settings, Point(1, 2), "Settings and is a .*Point"),
    (Options, {"size": 1, "other": 2}, "Options and is a dict"),
    (Literal["r", 1], "w", r"Literal\['r', 1\] and is a str"),
    (Literal[1], True, r"Literal\[1\] and is a bool"),
    (Colour, None, "Colour and is None"),
    (Path | list[bytes], "text", r"Path \| list\[bytes\] and is a str"),
    (Annotated[pd.DataFrame, Out("parquet")], 3, "pd.DataFrame and is a int"),
]


@pytest.mark.parametrize(("annotation", "value", "told"), REFUSED, ids=[told for _, _, told in REFUSED])
def test_what_would_not_arrive_as_annotated_is_refused_by_name(annotation, value, told):
    with pytest.raises(TypeError, match=f"the result of 'function' is annotated .*{told}"):
        returned(annotation, value)


ADMITTED = [
    (bytes, b"a"),
    (bytes, bytearray(b"a")),
    (bytes, memoryview(b"a")),
    (bytes, array.array("i", [1])),
    (bytes, io.BytesIO(b"a")),
    (Path, b"a"),
    (Path, pd.DataFrame({"a": [1]})),
    (BinaryIO, io.BytesIO(b"a")),
    (io.BytesIO, io.BytesIO(b"a")),
    (TextIO, io.StringIO("a")),
    (str, "a"),
    (np.ndarray, np.arange(3)),
    (np.ndarray, np.float64(2)),
    (pa.Table, pd.DataFrame({"a": [1]})),
    (pd.DataFrame, pl.DataFrame({"a": [1]})),
    (pl.LazyFrame, pl.DataFrame({"a": [1]})),
    (Annotated[Path, Out("parquet", name="t.parquet")], pd.DataFrame({"a": [1]})),
    (list[bytes], (b"a",)),
    (list[bytes], deque([b"a"])),
    (list[int], [1, None]),
    (set[str], ["a", "b"]),
    (tuple[int, int], [1, 2]),
    (tuple[bytes, ...], [b"a"]),
    (Iterable[str], ["a"]),
    (dict[str, bytes], OrderedDict(a=b"a")),
    (dict[int, list[str]], {1: ["a"]}),
    (Settings, Settings()),
    (Settings, Nearer()),
    (Settings, {"file": None}),
    (Box[int], Box(content=1)),
    (Point, (1, 2)),
    (Options, {"size": 1}),
    (Colour, Colour.RED),
    (Colour, "red"),
    (Literal["r", 1], 1),
    (Path | int, 3),
    (str | None, None),
    (None, None),
    (Any, None),
    (int, "not checked"),
]


@pytest.mark.parametrize(("annotation", "value"), ADMITTED, ids=[str(annotation) for annotation, _ in ADMITTED])
def test_what_would_arrive_as_annotated_is_admitted(annotation, value):
    returned(annotation, value)


def test_a_file_and_a_generator_are_bytes_files_and_streams(file):
    for annotation in (bytes, Path, BinaryIO, Iterator[bytes]):
        returned(annotation, file)
        returned(annotation, (piece for piece in (b"a", b"b")))
    returned(str, file)
    returned(list[bytes], (piece for piece in (b"a", b"b")))


def test_a_reference_is_one_to_anything(storage):
    ref = storage.put([1, 2])

    assert ArtifactRef.parse(returned(bytes, ref)) == ref
    assert ArtifactRef.parse(returned(list[Path], [ref.to_json()])[0]) == ref


def test_one_wrong_item_of_many_is_found():
    with pytest.raises(TypeError, match="a list with a str in it"):
        returned(list[bytes], [b"a"] * 100_000 + ["b"])


def test_a_wrong_result_is_not_stored(storage):
    storage.put("something else " * 10_000)
    before = list(storage.iter_objects(storage.bucket))

    with pytest.raises(TypeError, match="is annotated bytes"):
        returned(bytes, ["long " * 100_000])
    assert list(storage.iter_objects(storage.bucket)) == before
