"""A step with nothing to store makes few calls of Python, whatever the kinds of its small values are."""

from __future__ import annotations

import decimal
import sys
import uuid
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from lucas_storage import with_storage

pytestmark = pytest.mark.usefixtures("settings")

DAY = date(2026, 1, 1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")

VALUES = {
    "datetimes": [NOON + timedelta(hours=n) for n in range(20)],
    "datetimes of a zone": [(NOON + timedelta(hours=n)).astimezone(ZONE) for n in range(20)],
    "dates": [DAY + timedelta(n) for n in range(30)],
    "times": [time(n) for n in range(24)],
    "durations": [timedelta(n) for n in range(30)],
    "complex numbers": [complex(n, 1) for n in range(30)],
    "scalars of numpy": [np.float64(n) for n in range(15)],
    "ranges": [range(n) for n in range(20)],
    "dates as keys": {DAY + timedelta(n): n for n in range(20)},
    "tuples as keys": {(n, "a"): n for n in range(20)},
    "dates by name": {f"day {n}": DAY + timedelta(n) for n in range(30)},
    "records": [{"name": f"x{n}", "day": DAY, "n": n} for n in range(15)],
    "records by name": {f"of {n}": {"day": DAY, "n": n} for n in range(12)},
    "nested": {"a": {"b": {"c": [1, 2, DAY]}}, "k": "v"},
    "kinds": {
        "a": DAY,
        "b": NOON,
        "c": decimal.Decimal("1.5"),
        "d": uuid.UUID(int=5),
        "e": 1 + 2j,
        "f": timedelta(1),
        "g": b"abc",
        "h": float("nan"),
    },
}
"""Of about 1 KiB each."""
MOST = 150
"""Calls beside those of a step with a number. Twelve records take twelve each; before values were written many at
a time, they were 776, and 195 for ranges."""


@with_storage
def same(value):
    return value


def calls(value):
    """Return how many functions of Python a step calls that takes and returns a value."""
    same(value)  # what is found out once is found out
    found = 0

    def count(frame, event, _):
        nonlocal found
        found += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        same(value)
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize("kind", VALUES)
def test_a_small_value_costs_few_calls(kind):
    assert calls(VALUES[kind]) - calls(1) <= MOST


def test_the_calls_do_not_grow_with_the_number_of_values_of_a_kind():
    for kind in ("datetimes", "durations", "complex numbers", "scalars of numpy", "dates", "ranges"):
        value = VALUES[kind]
        assert calls(value) - calls(value[:4]) <= 4, kind
