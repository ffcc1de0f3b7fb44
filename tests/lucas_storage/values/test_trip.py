"""The way of a value out of a step: it is handed to each module at most twice."""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lucas_storage.values.annotations.annotation import ANY
from lucas_storage.values.storing.outgoing import result
from lucas_storage.values.storing.policy import ByOptions

pytestmark = pytest.mark.usefixtures("settings")

_ASKED_EVERYWHERE = "lucas_storage.formats.base"
"""Says of a value from which package its class is; every format asks it."""


@dataclass
class Holder:
    array: Any


VALUES = {
    "number": lambda: 3,
    "text": lambda: "x" * 100_000,
    "data": lambda: {"a": [1, 2.5]},
    "large data": lambda: list(range(20_000)),
    "tagged data": lambda: OrderedDict(a={1, 2}),
    "bytes": lambda: b"x" * 100_000,
    "array": lambda: np.arange(10_000),
    "frame": lambda: pd.DataFrame({"a": range(5000)}),
    "array in data": lambda: {"a": np.arange(5000), "b": [1]},
    "object": lambda: Holder(np.arange(5000)),
}


def handed_to(value):
    """Return how often each module was handed a value while it left a step, but for formats asked if they hold it."""

    def watch(frame, event, _):
        caller = frame.f_back and frame.f_back.f_globals.get("__name__")
        module = frame.f_globals.get("__name__", "")
        code = frame.f_code
        asked = module == _ASKED_EVERYWHERE or code.co_name in ("handles", "holds")
        if event == "call" and module.startswith("lucas_storage.") and module != caller and not asked:
            given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            found[module] += any(frame.f_locals.get(name) is value for name in given)

    found = Counter()
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        result(value, ANY, ByOptions(), "step")
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize("make", VALUES.values(), ids=VALUES)
def test_no_module_is_handed_a_value_more_than_twice(make):
    result(make(), ANY, ByOptions(), "step")  # what is found out once is found out
    found = handed_to(make())

    assert found["lucas_storage.values.storing.outgoing"] == 1
    assert {module: count for module, count in found.items() if count > 2} == {}
