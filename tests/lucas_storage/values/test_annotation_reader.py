"""Annotations are read, whether they are types or text, without importing what they name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, BinaryIO, Optional, Union

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from actorc.storage import StorageClient
from lucas_storage import ArtifactRef, Out, Storage
from lucas_storage.embedded import Runtime
from lucas_storage.values.annotations.annotation_reader import parameter_annotations, read, result_annotation
from lucas_storage.values.annotations.shipped_form import from_shipped, shipped

TYPES = [
    (Any, "any"),
    (int, "any"),
    (bytes, "bytes"),
    (bytearray, ("made", "bytearray", "bytes")),
    (str, "str"),
    (Path, "path"),
    (BinaryIO, "binaryio"),
    (IO[bytes], "binaryio"),
    (IO[str], "textio"),
    (ArtifactRef, "ref"),
    (Storage, "storage"),
    (StorageClient, "storage"),
    (Runtime, "runtime"),
    (np.ndarray, "ndarray"),
    (npt.NDArray[np.float64], "ndarray"),
    (pa.Table, "table"),
    (pd.DataFrame, "dataframe"),
    (pl.DataFrame, "polars"),
    (list, "any"),
    (dict, "any"),
    (list[int], "any"),
    (list[Path], ("list", "path")),
    (Sequence[bytes], ("list", "bytes")),
    (dict[str, np.ndarray], ("dict", "ndarray")),
    (Mapping[str, Path], ("dict", "path")),
    (dict[str, list[bytes]], ("dict", ("list", "bytes"))),
    (tuple[Path, int], ("tuple", "path", "any")),
    (tuple[bytes, ...], ("tuple*", "bytes")),
    (set[str], ("set", "str")),
    (Iterator[bytes], ("iterator", "bytes")),
    (Iterator, ("iterator", "any")),
    (Iterator[dict], ("iterator", "any")),
    (Generator[bytes, None, None], ("iterator", "bytes")),
    (Path | None, ("optional", "path")),
    (Optional[np.ndarray], ("optional", "ndarray")),  # noqa: UP045 -- users write it
    (Union[None, bytes], ("optional", "bytes")),  # noqa: UP007 -- users write it
    (bytes | str, "any"),
    (bytes | str | None, "any"),
    (int | None, "any"),
    (bytes | int, "any"),
    (Annotated[Path, "a note"], "path"),
    (Annotated[pd.DataFrame, Out("parquet")], "dataframe"),
]


@pytest.mark.parametrize(("annotation", "form"), TYPES, ids=[str(one) for one, _ in TYPES])
def test_a_type_is_shipped_in_its_form_and_comes_back_from_it(annotation, form):
    assert form == shipped(read(annotation))
    assert read(annotation) == from_shipped(form)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("np.ndarray", "ndarray"),
        ("numpy.ndarray", "ndarray"),
        ("xp.ndarray", "ndarray"),
        ("npt.NDArray[np.int8]", "ndarray"),
        ("pd.DataFrame", "dataframe"),
        ("pl.DataFrame", "polars"),
        ("DataFrame", "dataframe"),
        ("other.DataFrame", "any"),
        ("pa.Table", "table"),
        ("pathlib.Path", "path"),
        ("Path", "path"),
        ("typing.BinaryIO", "binaryio"),
        ("bytes", "bytes"),
        ("ArtifactRef", "ref"),
        ("list[np.ndarray]", ("list", "ndarray")),
        ("typing.Dict[str, Path]", ("dict", "path")),
        ("Path | None", ("optional", "path")),
        ("Optional['Path']", ("optional", "path")),
        ("Union[np.ndarray, None]", ("optional", "ndarray")),
        ("tuple[bytes, ...]", ("tuple*", "bytes")),
        ("Annotated[pd.DataFrame, 3]", "dataframe"),
        ("Iterator", ("iterator", "any")),
        ("typing.Iterator[bytes]", ("iterator", "bytes")),
        ("not an annotation", "any"),
        ("int", "any"),
        ("f(x)", "any"),
    ],
)
def test_text_whose_names_are_unknown_is_judged_by_spelling(text, form):
    assert form == shipped(read(text))


def test_text_whose_names_are_known_means_what_they_stand_for():
    assert shipped(read("Table", {"Table": dict})) == "any"
    assert shipped(read("Frame | None", {"Frame": pl.DataFrame})) == ("optional", "polars")
    assert shipped(read("np.generic", {"np": np})) == "any"


def test_options_of_results_are_part_of_the_annotation():
    expected = ("out", "parquet", "features", "dataframe")

    assert expected == shipped(read(Annotated[pd.DataFrame, Out("parquet", name="features")], results=True))
    assert expected == shipped(read('Annotated[pd.DataFrame, Out("parquet", name="features")]', results=True))
    assert ("dict", expected) == shipped(
        read('dict[str, Annotated[pd.DataFrame, Out("parquet", name="features")]]', results=True)
    )
    assert expected == shipped(
        read("Annotated[pd.DataFrame, FEATURES]", {"FEATURES": Out("parquet", name="features")}, results=True)
    )


def test_options_in_text_are_literals_or_known_names():
    expected = ("out", "parquet", None, "any")

    assert expected == shipped(read("Annotated[dict, Out(FORMAT)]", {"FORMAT": "parquet"}, results=True))
    with pytest.raises(TypeError, match="Out is given FORMAT, which is not known here"):
        read("Annotated[dict, Out(FORMAT)]", results=True)


def test_out_without_a_call_is_refused():
    with pytest.raises(TypeError, match="write Out"):
        read(Annotated[bytes, Out], results=True)


@pytest.mark.parametrize("wrong", [{"format": 3}, {"name": b"x"}, {"name": "a/b"}])
def test_out_checks_its_fields(wrong):
    with pytest.raises((TypeError, ValueError)):
        Out(**wrong)


@dataclass
class Point:
    path: Path
    array: np.ndarray | None
    next: Point | None = None


def test_dataclasses_are_read_with_their_fields_and_once_within_themselves():
    name = f"{Point.__module__}:Point"
    form = ("dataclass", name, (("path", "path"), ("array", ("optional", "ndarray")), ("next", "any")))
    classes = {}

    assert form == shipped(read(Point, {"Point": Point, "Path": Path, "np": np}, classes=classes))
    assert ("optional", form) == shipped(read("Point | None", globals(), classes=classes))
    assert ("list", form) == shipped(read("list[Point]", globals(), classes=classes))
    assert classes == {name: Point}


def test_annotations_are_found_in_globals_and_closures():
    from pathlib import Path as Local

    def function(a: Local, b: Path, c, d: Unknown = None, e: np.ndarray = None) -> list[Path]:  # noqa: F821
        return Local

    forms = {name: shipped(annotation) for name, annotation in parameter_annotations(function).items()}
    assert forms == {
        "a": "path",
        "b": "path",
        "c": "any",
        "d": "any",
        "e": ("optional", "ndarray"),
    }
    assert shipped(result_annotation(function)) == ("list", "path")


def test_reading_text_imports_nothing():
    code = (
        "import sys; from lucas_storage.values.annotations.annotation_reader import read; "
        "read('dict[str, np.ndarray | pd.DataFrame]'); "
        "print({'numpy', 'pandas', 'pyarrow', 'polars', 'grpc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "set()"
