"""Arguments of built-in containers are copied once each: what is shared stays shared, and a circle is refused."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from lucas_storage import with_storage

pytestmark = pytest.mark.usefixtures("settings")


@dataclass
class Row:
    tags: list[Any] = field(default_factory=list)


@with_storage
def given(value):
    return id(value) and (None if seen.append(value) else 0)


seen: list[Any] = []


def taken(value):
    """Return the value that a step was given."""
    seen.clear()
    given(value)
    return seen.pop()


SHARED = [1, date.min]


@pytest.mark.parametrize(
    "value",
    [
        [SHARED, SHARED],
        {"a": SHARED, "b": [SHARED]},
        [{"a": SHARED}, {"a": SHARED}],
        (SHARED, {"a": SHARED}),
        deque([SHARED, SHARED], 5),
        OrderedDict(a=SHARED, b=SHARED),
        defaultdict(list, a=SHARED, b=SHARED),
        [Row(SHARED), SHARED],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_stands_in_two_places_of_an_argument_stays_one_object(value):
    own = taken(value)

    assert own == value
    assert type(own) is type(value)
    assert len(found := lists_in(own)) == 1
    assert found.isdisjoint({id(SHARED)})


def lists_in(value):
    """Return the ids of the lists equal to `SHARED` at any depth."""
    if value == SHARED:
        return {id(value)}
    inner = value.values() if isinstance(value, dict) else vars(value).values() if isinstance(value, Row) else value
    return set[int]().union(*(lists_in(item) for item in inner if not isinstance(item, (int, date))))


def test_a_list_that_is_doubled_often_is_copied_as_often_as_there_are_lists():
    value: Any = [1]
    for _ in range(200):
        value = [value, value]

    own = taken(value)

    assert own is not value
    assert own[0] is own[1]


@pytest.mark.parametrize("beside", [[], [Row()]], ids=["alone", "beside an object"])
def test_a_list_within_itself_is_refused_as_argument_and_as_result(beside):
    circle: list[Any] = [*beside]
    circle.append(circle)

    with pytest.raises(ValueError, match="refers to itself"):
        taken(circle)

    @with_storage
    def returned():
        return circle

    with pytest.raises(ValueError, match="refers to itself"):
        returned()


def test_an_object_may_be_within_its_own_list():
    row = Row()
    row.tags.append(row)

    own = taken([row])

    assert own[0] is not row
    assert own[0].tags[0] is own[0]


@pytest.mark.parametrize(
    "value",
    [
        [{"a": 1, "b": date.min}, {"a": 2, "b": date.max}],
        {"x": {"a": 1}, "y": {"b": [date.min]}},
        [{1}, {2}],
        [(1, [2]), (3, [4])],
        {(1, "a"): [1], (2, "b"): [2]},
        Counter({(1, 2): 3}),
        [[1], [2], [1.5, None]],
        {frozenset({1}): {2}},
    ],
    ids=repr,
)
def test_every_container_that_can_be_changed_is_new(value):
    own = taken(value)

    assert own == value
    assert [type(item) for item in walked(own)] == [type(item) for item in walked(value)]
    assert mutable(own).isdisjoint(mutable(value))


def walked(value):
    yield value
    if isinstance(value, dict):
        for item in (*value, *value.values()):
            yield from walked(item)
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        for item in value:
            yield from walked(item)


def mutable(value):
    return {id(item) for item in walked(value) if isinstance(item, (list, dict, set, deque))}
