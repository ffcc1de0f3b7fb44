"""Every annotation means the same as a type and as text: what it is shipped as, and which ones are refused."""

# ruff: noqa: F401, UP035 -- the texts of annotations name what is imported, and users write it
from __future__ import annotations

import collections
import enum
import io
import os
import typing
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import AsyncIterator, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import (
    IO,
    Annotated,
    Any,
    BinaryIO,
    ClassVar,
    Final,
    Generic,
    List,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TextIO,
    TypedDict,
    TypeVar,
    Union,
)

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pydantic
import pytest
import typing_extensions

from lucas_storage import Out, Storage, with_storage
from lucas_storage.values.annotations.annotation_reader import parameter_annotations, read, result_annotation
from lucas_storage.values.annotations.shipped_form import from_shipped, shipped

try:
    from pydantic import v1 as pydantic_1
except ImportError:  # it is pydantic 1
    pydantic_1 = pydantic

T = TypeVar("T")
Here = TypeVar("Here", bound=Path)
Either = TypeVar("Either", Path, int)
UserId = NewType("UserId", str)
Upload = NewType("Upload", Path)
Pair = tuple[T, T]
Frames = list[pd.DataFrame]
Modes = Literal["r", "w"]
LATER = "list[Path]"
Nested = typing_extensions.TypeAliasType("Nested", "list[Nested] | Path")
Two = typing_extensions.TypeAliasType("Two", tuple[T, T], type_params=(T,))


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1


class Point(NamedTuple):
    file: Path
    weight: float = 1.0


class Farther(Point):
    pass


Old = namedtuple("Old", ["a", "b"])  # noqa: PYI024 -- users write it


class Options(TypedDict, total=False):
    file: Required[Path]
    size: int


class More(Options):
    extra: NotRequired[bytes]


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class PathBox(Box[Path]):
    label: str


@attrs.define
class Job:
    file: Path
    note: str = ""


class Model(pydantic.BaseModel):
    file: Path
    others: list[Path] = []
    when: Optional[Path] = None  # noqa: UP045 -- users write it


class OldModel(pydantic_1.BaseModel):
    file: Path
    when: Optional[Path] = None  # noqa: UP045 -- pydantic 1 needs it


def named(cls):
    return f"{__name__}:{cls.__qualname__}"


def record(kind, cls, *fields):
    return ("record", kind, named(cls), fields)


FORMS = {
    "Path | str": ("either", "path", "str"),
    "str | Path | None": ("optional", ("either", "str", "path")),
    "Union[Path, None, bytes]": ("optional", ("either", "path", "bytes")),
    "Path | int": ("either", "path", "any"),
    "Frames | Path": ("either", ("list", "dataframe"), "path"),
    "bytes | str | np.ndarray": "any",
    "Optional[Union[Path, str]]": ("optional", ("either", "path", "str")),
    "Path | Path": "path",
    "UserId": "str",
    "list[Upload]": ("list", "path"),
    "os.PathLike": "path",
    "os.PathLike[str]": "path",
    "Pair[Path]": ("tuple", "path", "path"),
    "Two[Path]": ("tuple", "path", "path"),
    "LATER": ("list", "path"),
    "Nested": ("either", "any", "path"),
    "Here": "path",
    "Either": ("either", "path", "any"),
    "T": "any",
    "Final[Path]": "path",
    "Annotated[Path, Out(name='x')]": "path",
    "Options": record("typeddict", Options, ("file", "path"), ("size", "any")),
    "More": record("typeddict", More, ("file", "path"), ("size", "any"), ("extra", "bytes")),
    "Point": record("namedtuple", Point, ("file", "path"), ("weight", "any")),
    "Farther": record("namedtuple", Farther, ("file", "path"), ("weight", "any")),
    "Old": record("namedtuple", Old, ("a", "any"), ("b", "any")),
    "Job": record("attrs", Job, ("file", "path"), ("note", "str")),
    "Model": record("pydantic", Model, ("file", "path"), ("others", ("list", "path")), ("when", ("optional", "path"))),
    "OldModel": record("pydantic", OldModel, ("file", "path"), ("when", ("optional", "path"))),
    "Box[Path]": ("dataclass", named(Box), (("content", "path"),)),
    "Box": ("dataclass", named(Box), (("content", "any"),)),
    "PathBox": ("dataclass", named(PathBox), (("content", "path"), ("label", "str"))),
    "list[Job]": ("list", record("attrs", Job, ("file", "path"), ("note", "str"))),
    "Literal['r', 'w']": ("literal", "r", "w"),
    "Literal['r', 3, -1, True, b'x', None]": ("optional", ("literal", "r", 3, -1, True, b"x")),
    "Literal[Modes, 'x']": ("literal", "r", "w", "x"),
    "Colour": ("enum", named(Colour)),
    "Level | None": ("optional", ("enum", named(Level))),
    "set[Access]": ("set", ("enum", named(Access))),
    "dict[int, Path]": ("dict", "path", "int"),
    "dict[int, float]": ("dict", "any", "int"),
    "dict[Colour, bytes]": ("dict", "bytes", ("enum", named(Colour))),
    "dict[Modes, bytes]": ("dict", "bytes", ("literal", "r", "w")),
    "Mapping[bool, Path]": ("dict", "path", "bool"),
    "dict[tuple[int, int], Path]": ("dict", "path"),
    "dict[Path, int]": "any",
    "OrderedDict[str, Path]": ("made", "OrderedDict", ("dict", "path")),
    "defaultdict[str, list[Path]]": ("dict", ("list", "path")),
    "deque[Path]": ("made", "deque", ("list", "path")),
    "List[Path]": ("list", "path"),
    "frozenset[bytes]": ("made", "frozenset", ("set", "bytes")),
    "AbstractSet[bytes]": ("set", "bytes"),
    "set": ("set", "any"),
    "tuple": ("tuple*", "any"),
    "Iterable[Path]": ("iterator", "path"),
    "io.BufferedReader": "binaryio",
    "io.RawIOBase": "binaryio",
    "IO[bytes]": "binaryio",
    "IO[str]": "textio",
    "TextIO": "textio",
    "pl.LazyFrame": "lazyframe",
    "ds.Dataset": "dataset",
    "pa.Table | pl.DataFrame": ("either", "table", "polars"),
    "pd.Series": "any",
    "np.memmap": "any",
    "typing.Callable[[Path], int]": "any",
    "type[Path]": "any",
    "Storage | None": ("optional", "storage"),
}


@pytest.mark.parametrize("text", FORMS)
def test_text_and_type_have_one_form(text):
    typed = eval(text, globals())

    assert shipped(read(text, globals())) == FORMS[text]
    assert shipped(read(typed, globals())) == FORMS[text]
    assert from_shipped(FORMS[text]) == read(typed, globals())


REFUSED = {
    "ClassVar[Path]": "which is for the bodies of classes; write the type alone",
    "io.BytesIO": "and a file arrives as a reader of its own; write BinaryIO",
    "io.StringIO": "write TextIO",
    "IO": "write BinaryIO or TextIO",
    "AsyncIterator[bytes]": "and a parameter arrives as a value; write Iterator",
    "list[AsyncIterator[bytes]]": "write Iterator",
    "typing.Awaitable[Path]": "write the type of the value",
    "os.PathLike[bytes]": "write os.PathLike[str]",
    "collections.ChainMap[str, Path]": "write dict",
    "Literal[Colour.RED]": "write the enumeration",
    "list[Storage]": "take it as a parameter",
    "Storage | Path": "take two parameters",
    "tuple[int, *tuple[Path, ...]]": "write each of them, or one type for all",
}


@pytest.mark.parametrize("text", REFUSED)
def test_an_annotation_that_no_value_arrives_as_is_refused_at_decoration(text):
    def function(given):
        return given

    for annotation in (text, eval(text, globals())):
        function.__annotations__ = {"given": annotation}
        with pytest.raises(TypeError) as caught:
            with_storage(function)
        assert str(caught.value).startswith(f"{function.__qualname__!r} annotates 'given' as ")
        assert REFUSED[text] in str(caught.value)


def test_fields_of_a_class_are_read_but_refuse_nothing():
    @dataclass
    class Held:
        file: Path
        memory: io.BytesIO
        stream: AsyncIterator[bytes]

    assert shipped(read(Held, globals()))[2] == (("file", "path"), ("memory", "any"), ("stream", "any"))


def test_a_result_may_be_what_no_parameter_is():
    def buffer() -> io.BytesIO: ...
    def stream() -> AsyncIterator[Path]: ...

    assert shipped(result_annotation(buffer)) == "any"
    assert shipped(result_annotation(stream)) == ("iterator", "path")
    assert shipped(read("dict[int, Path]", globals(), results=True)) == ("dict", "path")


def test_classes_of_one_name_are_kept_apart():
    def made(kind):
        @dataclass
        class Local:
            content: kind

        return Local

    one, other = made(Path), made(bytes)
    classes = {}
    found = shipped(read(tuple[one, other], classes=classes))

    assert [classes[label] for _, label, _ in found[1:]] == [one, other]


def test_names_imported_for_type_checking_alone_mean_what_is_imported(tmp_path, monkeypatch):
    (tmp_path / "guarded_names.py").write_text(
        "from __future__ import annotations\n"
        "import typing as t\n"
        "if t.TYPE_CHECKING:\n"
        "    import pandas as frames\n"
        "    from collections.abc import Mapping as M\n"
        "    from pathlib import Path as P\n"
        "    from nowhere_installed.frames import DataFrame\n"
        "    from .sibling import Thing\n"
        "def function(a: P, b: M[str, P], c: frames.DataFrame, d: DataFrame, e: Thing, f: t.Optional[P]): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import guarded_names

    forms = {name: shipped(found) for name, found in parameter_annotations(guarded_names.function).items()}
    assert forms == {
        "a": "path",
        "b": ("dict", "path"),
        "c": "dataframe",
        "d": "any",
        "e": "any",
        "f": ("optional", "path"),
    }


def test_a_text_may_name_a_class_that_is_local_to_the_function_around():
    @dataclass
    class Local:
        file: Path

    seen = []

    @with_storage
    def step(given: Local, others: list[Local]):
        seen.append([type(given), type(others[0])])

    step(given={"file": b"x"}, others=[{"file": b"y"}])

    assert seen == [[Local, Local]]


def test_fields_are_known_under_the_names_that_constructors_take():
    @attrs.define
    class Hidden:
        _file: Path

    class Aliased(pydantic.BaseModel):
        file: Path = pydantic.Field(alias="File")

    assert shipped(read(Hidden, globals()))[3] == (("_file", "path"), ("file", "path"))
    assert shipped(read(Aliased, globals()))[3] == (("file", "path"), ("File", "path"))
