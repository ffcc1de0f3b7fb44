"""What an annotation asks for arrives, whether it is a type or text, and however small the value."""

# ruff: noqa: F401 -- the texts of annotations name what is imported
from __future__ import annotations

import enum
import io
from collections import OrderedDict, defaultdict, deque, namedtuple
from contextlib import closing
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple, NewType, NotRequired, Required, TextIO, TypedDict

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest

from lucas_storage import ArtifactRef, Out, with_storage

try:
    from pydantic import v1 as pydantic_1
except ImportError:  # it is pydantic 1
    pydantic_1 = pydantic

LARGE = "long " * 40_000
Upload = NewType("Upload", Path)


class Colour(enum.Enum):
    RED = "red"
    BLUE = ("b", 1)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    file: Path
    weight: float = 1.0


Old = namedtuple("Old", ["a", "b"])  # noqa: PYI024 -- users write it


class Options(TypedDict, total=False):
    file: Required[Path]
    size: NotRequired[int]


@attrs.define
class Job:
    file: Path
    note: str = "none"


class Model(pydantic.BaseModel):
    file: Path
    level: Level = Level.LOW


class OldModel(pydantic_1.BaseModel):
    file: Path
    level: Level = Level.LOW


@dataclass
class Settings:
    file: Path
    level: Level = Level.LOW


def given(annotation, value):
    """Return what a step receives whose parameter has the annotation, as a type; as text it is the same."""

    def typed(x):
        received.append(x)

    def text(x):
        received.append(x)

    received: list[Any] = []
    typed.__annotations__ = {"x": eval(annotation, globals())}
    text.__annotations__ = {"x": annotation}
    for function in (typed, text):
        with_storage(function)(x=value)
    assert kind_of(received[0]) == kind_of(received[1])
    closed(received[1])
    return received[0]


def closed(value):
    """Close a file that is no longer needed."""
    if hasattr(value, "close"):
        value.close()


def kind_of(value):
    return type(value), [type(item) for item in value] if isinstance(value, (list, tuple, dict)) else []


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("content")
    return path


@pytest.fixture
def ref(storage, file):
    return storage.put(file).to_json()


def test_one_of_several_types_is_the_one_that_the_value_is(storage, ref):
    assert given("Path | str", ref).read_text() == "content"
    assert given("str | Path", ref).read_text() == "content"
    assert given("Path | str", "a name") == "a name"
    assert given("Path | str", storage.put(LARGE).to_json()) == LARGE
    assert given("Path | int", 3) == 3
    assert given("Path | None | int", None) is None
    assert given("Path | str", b"bytes").read_bytes() == b"bytes"
    assert given("list[Path] | Path", ref).read_text() == "content"
    assert [one.read_text() for one in given("list[Path] | Path", [ref])] == ["content"]
    assert given("Settings | str", {"file": ref}).file.read_text() == "content"
    assert given("Settings | dict", {"other": 1}) == {"other": 1}
    assert given("Settings | str", "name") == "name"
    assert given("ArtifactRef | Path", ref) == ArtifactRef.parse(ref)


def test_one_of_several_tables_is_the_first_that_the_artifact_becomes(storage):
    table = storage.put(pd.DataFrame({"a": [1]})).to_json()

    assert isinstance(given("pl.DataFrame | Path", table), pl.DataFrame)
    assert isinstance(given("Path | pa.Table | pd.DataFrame", table), pd.DataFrame | pa.Table)
    assert isinstance(given("np.ndarray | pd.DataFrame | str", storage.put(np.arange(3)).to_json()), np.ndarray)


def test_a_value_of_none_of_several_types_is_refused():
    with pytest.raises(TypeError, match=r"parameter 'x' of 'typed' is annotated Path \| list\[bytes\] and got a str"):
        given("Path | list[bytes]", "text")


@pytest.mark.parametrize("annotation", ["list[Path]", "dict[str, bytes]", "set[str]", "tuple[Path, int]"])
def test_a_number_or_a_text_is_no_container(annotation):
    for value in ("text", 3):
        with pytest.raises(TypeError, match=r"parameter 'x' of 'typed' is annotated .* and got a (str|int)"):
            given(annotation, value)


@pytest.mark.parametrize("annotation", ["Upload", "Path", "Annotated[Path, 'a note']"])
def test_other_names_for_a_path_are_files(annotation, ref):
    assert given(annotation, ref).read_text() == "content"


@pytest.mark.parametrize("annotation", ["Settings", "Job", "Model", "OldModel", "Point", "Options"])
def test_data_becomes_the_annotated_class_with_files_in_it(annotation, ref):
    made = given(annotation, {"file": ref})

    assert isinstance(made, dict if annotation == "Options" else globals()[annotation])
    assert (made["file"] if annotation == "Options" else made.file).read_text() == "content"


def test_a_list_becomes_the_annotated_named_tuple(ref):
    made = given("list[Point]", [[ref, 2.5]])

    assert (type(made[0]), made[0].file.read_text(), made[0].weight) == (Point, "content", 2.5)
    assert given("Old", [1, 2]) == Old(1, 2)
    assert given("Point", [ref]).weight == 1.0
    with pytest.raises(TypeError, match="'x' of 'typed' is annotated Old and got a list of 3; give the 2 fields"):
        given("Old", [1, 2, 3])


def test_a_member_of_an_enumeration_is_made_of_its_value_or_its_name():
    assert given("Colour", "red") is Colour.RED
    assert given("Colour", "BLUE") is Colour.BLUE
    assert given("Colour", ["b", 1]) is Colour.BLUE
    assert given("Colour", Colour.BLUE) is Colour.BLUE
    assert given("list[Level]", [1, 2]) == [Level.LOW, Level.HIGH]
    assert given("Access", 3) == Access.READ | Access.WRITE
    assert given("Settings", {"file": b"x", "level": 2}).level is Level.HIGH
    with pytest.raises(TypeError, match="'x' of 'typed' is annotated Colour and got 'green'; give one of its values"):
        given("Colour", "green")


def test_a_literal_is_one_of_those_written():
    assert given("Literal['r', 1]", "r") == "r"
    assert given("Literal['r', None]", None) is None
    for wrong in ("w", True, 2):
        with pytest.raises(TypeError, match=r"'x' of 'typed' is annotated Literal\['r', 1\] and got"):
            given("Literal['r', 1]", wrong)


def test_keys_that_json_made_text_are_of_the_annotated_type_again(storage, ref):
    assert given("dict[int, float]", {"1": 2.5, 2: 3.5}) == {1: 2.5, 2: 3.5}
    assert given("dict[int, Path]", {"7": ref})[7].read_text() == "content"
    assert given("dict[float, int]", {"1.5": 1}) == {1.5: 1}
    assert given("dict[bool, int]", {"true": 1, "false": 0}) == {True: 1, False: 0}
    assert given("dict[Level, int]", {Level.LOW: 1}) == {Level.LOW: 1}
    assert given("dict[Colour, list[int]]", {"red": [1]}) == {Colour.RED: [1]}
    assert given("dict[str, int]", {"1": 1}) == {"1": 1}
    assert given("dict[int, int]", storage.put({str(i): i for i in range(20_000)}).to_json())[19_999] == 19_999
    assert type(given("OrderedDict[int, int]", OrderedDict({"1": 1}))) is OrderedDict
    for wrong in ({"one": 1}, {"1": 1, 1: 2}):
        with pytest.raises(TypeError, match="parameter 'x' of 'typed'"):
            given("dict[int, int]", wrong)


def test_sets_are_sets_of_what_they_hold(ref):
    assert given("set[bytes]", [b"a", b"b"]) == {b"a", b"b"}
    assert given("set", ["a"]) == {"a"}
    assert given("tuple", ["a"]) == ("a",)


def test_types_of_the_standard_library_are_made_of_what_travels_for_them(storage, ref):
    assert given("frozenset[str]", ["a"]) == frozenset({"a"})
    assert given("frozenset", {"a"}) == frozenset({"a"})
    assert given("deque[Path]", [ref])[0].read_text() == "content"
    assert given("deque | None", None) is None
    assert given("deque", [1]) == deque([1])
    assert type(given("OrderedDict[int, bytes]", {"1": b"a"})) is OrderedDict
    assert given("bytearray", storage.put(b"a" * 100_000).to_json()) == bytearray(b"a" * 100_000)
    assert type(given("bytearray | Path", b"a")) is bytearray
    assert type(given("list[bytearray]", [b"a"])[0]) is bytearray


def test_open_files_are_binary_or_text(ref):
    for annotation, value, content in (
        ("io.BufferedReader", ref, b"content"),
        ("BinaryIO", ref, b"content"),
        ("TextIO", ref, "content"),
        ("TextIO", "text", "text"),
    ):
        with closing(given(annotation, value)) as file:
            assert file.read() == content


@pytest.mark.parametrize("text", ["name.txt", LARGE])
def test_a_text_is_no_path_whatever_its_size(text, storage):
    for value in (text, storage.put(text).to_json(), [text][0]):
        with pytest.raises(
            TypeError, match=r"'x' of 'typed' is annotated Path and got a str; annotate it str, or have"
        ):
            given("Path", value)
    with pytest.raises(TypeError, match="is annotated Path and got a str"):
        given("list[Path]", [text])
    assert given("Path", b"content").read_bytes() == b"content"


def test_a_text_that_was_given_the_name_of_a_file_is_one():
    def note() -> Annotated[str, Out("text", name="notes.txt")]:
        return "text"

    path = given("Path", with_storage(note)())

    assert (path.name, path.read_text()) == ("notes.txt", "text")


@dataclass
class Opened:
    name: str
    source: InitVar[Path]
    suffix: InitVar[str] = ""
    content: bytes = field(init=False)

    def __post_init__(self, source, suffix):
        self.content = source.read_bytes() + suffix.encode()


class Open(pydantic.BaseModel):
    if pydantic.VERSION.startswith("1"):

        class Config:
            extra = "allow"
    else:
        model_config = pydantic.ConfigDict(extra="allow")

    name: str


def test_what_a_constructor_takes_and_does_not_keep_is_given_to_it(storage):
    ref = storage.put(b"content").to_json()

    assert given("Opened", {"name": "a", "source": ref}).content == b"content"
    assert given("Opened", {"name": "a", "source": ref, "suffix": "!"}).content == b"content!"
    with pytest.raises(TypeError, match=r"parameter 'x' of 'typed' is annotated Opened and got a dict .* 'source'"):
        given("Opened", {"name": "a"})
    with pytest.raises(TypeError, match="'content'"):
        given("Opened", {"name": "a", "source": ref, "content": b""})


def test_a_model_that_takes_more_gets_it():
    assert given("Open", {"name": "a", "more": [1]}).more == [1]


def test_an_error_of_the_users_class_names_the_parameter():
    with pytest.raises(pydantic.ValidationError) as caught:
        given("Open", {"name": []})
    assert caught.value.__notes__ == ["It was raised when parameter 'x' of 'typed' was made into a Open."]


@pytest.mark.skipif(pydantic.VERSION.startswith("1"), reason="pydantic 1 has no such models")
def test_a_model_without_names_is_made_of_its_value(storage):
    class Files(pydantic.RootModel[list[Path]]):
        pass

    def count(x: Files, y: Files | str):
        return [len(x.root), x.root[0].read_bytes().decode(), y]

    ref = storage.put(b"content").to_json()

    assert with_storage(count)(x=[ref], y="text") == [1, "content", "text"]
    assert with_storage(count)(x=Files([storage.path(storage.put(b"kept"))]), y="text") == [1, "kept", "text"]
