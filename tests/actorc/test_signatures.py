"""Signatures and annotations of functions and classes, evaluated or as text."""

from __future__ import annotations

import pickle
import sys

import pytest

from actorc.signatures import annotations_of, settle_annotations, signature_of
from lucas_storage import with_storage

LAZY = pytest.mark.skipif(sys.version_info < (3, 14), reason="this Python evaluates annotations where they stand")
SOURCE = """
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

def step(count: int, table: pd.DataFrame = None, later: list[Later] | None = None) -> Later: return count

class Holder:
    table: pd.DataFrame
    count: int
"""


@pytest.fixture
def names(tmp_path, monkeypatch):
    """The names of a module that is imported from a file, as that of a user."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lazily_annotated.py").write_text(SOURCE)
    module = __import__("lazily_annotated")
    yield module
    del sys.modules["lazily_annotated"]


def test_annotations_that_can_be_evaluated_are_values():
    def step(count: int) -> str:
        return str(count)

    step.__annotations__ = {"count": int, "return": str}

    assert signature_of(step).parameters["count"].annotation is int
    assert annotations_of(step) == {"count": int, "return": str}


def test_what_has_no_signature_is_refused_as_by_the_standard_library():
    with pytest.raises(TypeError, match="not a callable"):
        signature_of(3)  # type: ignore[arg-type]


@LAZY
def test_annotations_that_cannot_be_evaluated_are_text(names):
    signature = signature_of(names.step)

    assert [each.annotation for each in signature.parameters.values()] == ["int", "pd.DataFrame", "list[Later] | None"]
    assert signature.return_annotation == "Later"
    assert annotations_of(names.Holder) == {"table": "pd.DataFrame", "count": "int"}


@LAZY
def test_annotations_that_are_settled_are_evaluated_by_anybody(names):
    settle_annotations(names.step)

    assert names.step.__annotations__["table"] == "pd.DataFrame"


@LAZY
def test_a_step_may_be_annotated_with_what_is_defined_later_or_for_type_checkers_alone(names):
    step = with_storage(names.step)

    assert dict(entry[:2] for entry in step._contract["parameters"])["table"][-1] == "dataframe"
    assert step(count=3) == 3


@LAZY
def test_a_function_with_such_annotations_is_shipped_by_value(names):
    names.step.__module__ = "__main__"

    shipped = pickle.loads(pickle.dumps(with_storage(names.step)))

    assert shipped(count=3) == 3
