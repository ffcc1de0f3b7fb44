"""Values of every kind that steps pass to each other, nested in each other; equality that minds types; edits."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Record:
    name: str
    value: Any


class Colour(enum.Enum):
    RED = 1
    BLUE = "blue"


ZONES = [dt.UTC, dt.timezone(dt.timedelta(hours=-3, minutes=-30)), ZoneInfo("Europe/Berlin")]
exact = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
tagged = (
    st.datetimes()
    | st.sampled_from(ZONES).flatmap(lambda zone: st.datetimes().map(lambda at: at.replace(tzinfo=zone)))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals()
    | st.uuids()
    | st.complex_numbers()
    | st.binary(max_size=20)
    | st.sampled_from([PurePosixPath("a/b"), PureWindowsPath("c:/d")])
    | st.integers(-5, 5).map(np.int16)
    | st.floats(width=32).map(np.float32)
)
arrays = st.integers(0, 900).map(np.arange)
objects = st.sampled_from(Colour)
leaves = exact | tagged | arrays | objects
keys = exact | st.datetimes() | st.uuids() | st.tuples(st.integers(), st.text(max_size=3))


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    dicts = st.dictionaries(st.text(max_size=4), inner, max_size=4)
    return (
        lists
        | dicts
        | st.dictionaries(keys, inner, max_size=3)
        | lists.map(tuple)
        | lists.map(deque)
        | dicts.map(OrderedDict)
        | dicts.map(lambda given: defaultdict(list, given))
        | st.lists(st.text(max_size=2), max_size=4).map(Counter)
        | st.sets(keys, max_size=3)
        | st.frozensets(keys, max_size=3)
        | st.tuples(inner, inner).map(Point._make)
        | st.builds(Record, st.text(max_size=3), inner)
    )


values = st.recursive(leaves, _containers, max_leaves=12)


def form(value: Any) -> Any:  # noqa: PLR0911  # one case for each kind
    """Return a text-like form that is equal for values that are equal and of the same types, and for them alone."""
    kind = type(value)
    match value:
        case np.ndarray():
            return kind, value.dtype.str, value.shape, value.tobytes()
        case float() | complex() | decimal.Decimal() | np.generic():
            return kind, repr(value)
        case dt.datetime():
            return kind, value.isoformat(), value.fold, type(value.tzinfo), str(value.tzinfo)
        case defaultdict():
            return kind, value.default_factory, [(form(key), form(item)) for key, item in value.items()]
        case dict():
            return kind, [(form(key), form(item)) for key, item in value.items()]
        case set() | frozenset():
            return kind, sorted((form(item) for item in value), key=repr)
        case deque():
            return kind, value.maxlen, [form(item) for item in value]
        case list() | tuple():
            return kind, [form(item) for item in value]
        case Record():
            return kind, form(value.name), form(value.value)
    return kind, value


def edit(value: Any) -> None:
    """Change a value in every place that can be changed."""
    match value:
        case np.ndarray():
            value[:1] = 77
        case Record():
            edit(value.value)
            value.name = "changed"
        case dict():
            for item in value.values():
                edit(item)
            value.clear()
        case set():
            value.add("changed")
        case list() | deque():
            for item in value:
                edit(item)
            value.append("changed")
        case tuple():
            for item in value:
                edit(item)
