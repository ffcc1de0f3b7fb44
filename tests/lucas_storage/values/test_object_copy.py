from __future__ import annotations

import enum
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, NamedTuple

import attrs
import numpy as np
import pydantic
import pytest

from lucas_storage import with_storage
from lucas_storage.refs import inline_ref

pytestmark = pytest.mark.usefixtures("settings")

REF = inline_ref("json@1", b"[1,2]")


class Colour(enum.Enum):
    RED = 1


class Point(NamedTuple):
    x: Any
    y: Any


class Total(NamedTuple):
    x: int


class Named(Total):
    __slots__ = ()

    def __new__(cls, *parts):
        return super().__new__(cls, sum(parts))


@dataclass
class Row:
    name: str
    tags: list[Any] = field(default_factory=list)
    next: Any = None


@dataclass(frozen=True, slots=True)
class Frozen:
    rows: Any


@attrs.define
class Part:
    inner: Any


class Model(pydantic.BaseModel):
    items: list[int]
    _seen: list[int] = pydantic.PrivateAttr(default_factory=list)


@dataclass
class Shared:
    """Says itself how it is copied."""

    items: list[Any]

    def __deepcopy__(self, memo):
        return self


@with_storage
def keep(value):
    kept.append(value)


kept: list[Any] = []


def given(value):
    """Return what a step is given for a value."""
    kept.clear()
    keep(value=value)
    return kept.pop()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Row("a", [1, [2]]),
        lambda: [Row("a", [date.min]), {"b": Frozen((Row("c"), {1, 2}))}],
        lambda: {1: Point([1], Colour.RED), 2: Part({"a": [1]})},
        lambda: (Part(np.float64(1.5)), PurePosixPath("a"), Path("nowhere")),
        lambda: [Model(items=[1, 2]), deque([Row("a")], 3), OrderedDict(a=Row("b"))],
        lambda: [defaultdict(list, {"a": [Part(None)]}), Counter("aab")],
        lambda: [deque([1], 3), OrderedDict(a=1), defaultdict(int, a=1), Counter("ab"), (1, date.min), frozenset({1})],
    ],
)
def test_objects_in_an_argument_are_copied_whole(make):
    value = make()

    got = given(value)

    assert got == value
    assert type(got) is type(value)
    assert got is not value


def test_nothing_within_an_object_is_shared_with_the_caller():
    row, point, model = Row("a", [1]), Point([1], None), Model(items=[1])
    model._seen.append(1)

    got = given([row, point, Part({"a": row}), model])
    got[0].tags.append(2)
    got[1].x.append(2)
    got[3].items.append(2)
    got[3]._seen.append(2)

    assert (row.tags, point.x, model.items, model._seen) == ([1], [1], [1], [1])
    # One object in two places stays one.
    assert got[2].inner["a"] is got[0]
    assert got[3]._seen == [1, 2]


def test_objects_may_refer_to_each_other_in_a_circle_as_arguments_and_as_results():
    first = Row("a")
    first.next = Row("b", next=first)

    got = given(first)
    assert got.next.next is got
    assert got is not first

    @with_storage
    def circle():
        return first

    got = given(circle())
    assert (got.name, got.next.name) == ("a", "b")
    assert got.next.next is got


def test_references_within_objects_are_loaded():
    assert given([Row("a", next=REF)])[0].next == [1, 2]
    assert given([Row("a", [REF.to_json()])])[0].tags == [[1, 2]]
    assert given(Part({"a": [Frozen(REF)]})).inner["a"][0].rows == [1, 2]


def test_a_class_that_says_how_it_is_copied_is_asked():
    value = Shared([1])

    assert given([value, Row("a")])[0].items is value.items


def test_a_named_tuple_whose_class_counts_its_parts_arrives_as_it_is():
    assert given([Named(1, 2), Row("a")])[0] == (3,)


def test_a_lock_within_an_object_is_passed_on_to_be_shared():
    lock = threading.Lock()

    got = given([Row("a", [1], next=SimpleNamespace(lock=lock))])

    assert got[0].tags == [1]
    assert got[0].next.lock is lock


def test_a_class_of_a_function_is_copied_as_well():
    @dataclass
    class Inner:
        items: list[int]

    value = [Inner([1])]

    got = given(value)
    got[0].items.append(2)

    assert type(got[0]) is Inner
    assert value[0].items == [1]


def test_many_objects_are_copied_without_a_call_for_each():
    rows = [Row(str(number), [number]) for number in range(2000)]
    given(rows[:10])
    calls = 0

    def count(_, event, __):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        got = given(rows)
    finally:
        sys.setprofile(None)

    assert got == rows
    # One to leave it to pickle.
    assert calls < 2 * len(rows)


def test_an_object_of_a_class_without_a_module_is_one_like_any_other():
    class Made:
        def __init__(self, items):
            self.items = items

    Made.__module__ = None

    value = Made([1])
    got = given([value])
    got[0].items.append(2)

    assert type(got[0]) is Made
    assert value.items == [1]
