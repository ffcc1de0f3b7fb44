"""Keys of calls: equal inputs have equal ones, in any process, and what has no canonical form is named."""

from __future__ import annotations

import copy
import dataclasses
import os
import subprocess
import sys
import textwrap
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from lucas_storage import ArtifactRef, run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import CacheKeyError
from lucas_storage.refs import inline_ref
from lucas_storage.steps.call_key import call_key
from lucas_storage.values.annotations.annotation_reader import parameter_annotations

DIGEST = "sha256:" + "ab" * 32


calls = []


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Corner(NamedTuple):
    x: int
    y: int


class Model:
    """A class that no format but pickle holds."""

    def __init__(self, weight):
        self.weight = weight


@pytest.fixture(autouse=True)
def _nothing_called(empty_registry):
    calls.clear()


@with_storage(cache=True)
def noise(n: int) -> np.ndarray:
    calls.append(n)
    return np.frombuffer(os.urandom(n), dtype=np.uint8)


def key_of(function=noise, identity=("m:f", "version:1"), **given):
    plain = getattr(function, "__wrapped__", function)
    return call_key(identity, plain, given, parameter_annotations(plain))


def ref_to(digest=DIGEST, **fields):
    given = {"bucket": "b-1", "key": "k", "digest": digest, "size": 1, "format": "npy@1", **fields}
    return ArtifactRef(**given)


def test_a_key_does_not_depend_on_the_order_of_dicts_or_sets():
    assert key_of(n={"a": 1, "b": [2.0]}) == key_of(n={"b": [2.0], "a": 1})
    assert key_of(n={3, 1, 2}) == key_of(n={2, 3, 1})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (1, "1"),
        (0.0, -0.0),
        (None, "null"),
        ([1], (1,)),
        ([], {}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, [["a", 1]]),
        ({1: 2}, {"1": 2}),
        (b"1", "1"),
        (["dict", ["a", 1]], {"a": 1}),
        (["artifact", DIGEST, "npy@1"], ref_to()),
        (ref_to(), ref_to("sha256:" + "ac" * 32)),
        (ref_to(), ref_to(format="bytes@1")),
        (ref_to().to_json(), {"$artifact": "x"}),
        (1 << 3000, 1 << 3001),
        (float("inf"), float("nan")),
        (0, -0.0),
        (datetime(2020, 1, 1), date(2020, 1, 1)),  # noqa: DTZ001  # without a zone on purpose
        (datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)),  # noqa: DTZ001  # likewise
        (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=ZoneInfo("Africa/Abidjan"))),
        (time_of_day(1), time_of_day(1, fold=1)),
        (timedelta(1), timedelta(2)),
        (Decimal("1.0"), Decimal("1.00")),
        (UUID(int=1), UUID(int=2)),
        (1j, 1),
        (PurePosixPath("a"), PureWindowsPath("a")),
        (PurePosixPath("a"), "a"),
        (range(2), [0, 1]),
        ({1}, frozenset({1})),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=1), defaultdict(set, a=1)),
        (Counter("a"), {"a": 1}),
        (deque([1]), [1]),
        (deque([1]), deque([1], maxlen=2)),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        (Colour.RED, Colour.BLUE),
        (Colour.RED, "red"),
        (Corner(1, 2), (1, 2)),
        (Corner(1, 2), Corner(2, 1)),
        (np.float32(1), np.float64(1)),
        (np.float64(1), 1.0),
        (np.arange(2), [0, 1]),
    ],
    ids=repr,
)
def test_different_inputs_have_different_keys(one, other):
    assert key_of(n=one) != key_of(n=other)
    assert key_of(n=[one]) != key_of(n=[other])
    assert key_of(n={"deep": (one,)}) == key_of(n={"deep": (copy.deepcopy(one),)})


def test_not_a_number_is_an_input_like_any_other():
    assert key_of(n=float("nan")) == key_of(n=float("nan"))


def test_a_value_counts_as_the_reference_to_it_would(tmp_path):
    payload = b"bytes"
    path = tmp_path / "a"
    path.write_bytes(payload)

    assert key_of(n=payload) == key_of(n=inline_ref("bytes@1", payload)) == key_of(n=path)


@dataclasses.dataclass
class Inputs:
    file: Path
    count: int


def test_a_name_counts_where_the_function_can_see_it():
    def by_path(n: Path): ...

    def by_value(n: np.ndarray): ...

    def by_field(n: Inputs): ...

    one, other = ref_to(filename="a.csv"), ref_to(filename="b.csv")

    assert key_of(by_path, n=one) != key_of(by_path, n=other)
    assert key_of(by_value, n=one) == key_of(by_value, n=other)
    assert key_of(by_field, n={"file": one, "count": 1}) != key_of(by_field, n={"file": other, "count": 1})


@pytest.mark.parametrize("package", ["attrs", "pydantic"])
def test_an_object_with_fields_counts_by_its_class_and_its_fields(package):
    library = pytest.importorskip(package)
    one, other = (
        library.make_class(name, {"x": library.field(type=int)})
        if package == "attrs"
        else library.create_model(name, x=(int, ...))
        for name in ("One", "Other")
    )

    assert key_of(n=one(x=1)) == key_of(n=one(x=1))
    assert len({key_of(n=each) for each in (one(x=1), one(x=2), other(x=1), {"x": 1})}) == 4


def test_a_dataclass_counts_by_its_fields():
    @dataclasses.dataclass
    class Point:
        x: int

    assert key_of(n=Point(1)) == key_of(n=Point(1)) != key_of(n=Point(2))


@pytest.mark.slow
def test_a_key_is_the_same_in_every_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import numpy as np
            from lucas_storage.steps.call_key import call_key
            from lucas_storage.values.annotations.annotation import ANY

            def f(x, y={"b", "a", "c"}, *, z=frozenset("xyz")): ...

            given = {"x": {"k": {"one", "two", "three"}, "j": (1, float("nan"))}, "w": np.arange(3)}
            print(call_key(("m:f", "version:1"), f, given, dict.fromkeys("xyz", ANY)))
            """
        )
    )
    keys = {
        subprocess.run(
            [sys.executable, script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "3")  # the sets above have another order with each of them
    }

    assert len(keys) == 1


def test_a_step_between_that_passes_a_value_on_changes_nothing(settings):
    @function
    @with_storage
    def make(n):
        return np.arange(n)

    @function
    @with_storage
    def same(x):
        return x

    @function
    @with_storage(cache=True)
    def total(x: np.ndarray):
        calls.append(0)
        return int(x.sum())

    @workflow
    def short(wf):
        return wf.call("total", {"x": wf.call("make", {"n": wf.input()["n"]})})

    @workflow
    def long(wf):
        return wf.call("total", {"x": wf.call("same", {"x": wf.call("make", {"n": wf.input()["n"]})})})

    assert run(short, {"n": 10_000}) == run(long, {"n": 10_000}) == run(short, {"n": 10_000})
    assert calls == [0]


def test_nested_references_do_not_depend_on_the_run(settings):
    @function
    @with_storage
    def make(n):
        return {"parts": [np.arange(n), np.ones(n)], "text": "x" * 100_000}

    @function
    @with_storage(cache=True)
    def count(x):
        calls.append(0)
        return len(x["parts"])

    @workflow
    def flow(wf):
        return wf.call("count", {"x": wf.call("make", {"n": wf.input()["n"]})})

    assert [run(flow, {"n": 10_000}), run(flow, {"n": 10_000})] == [2, 2]
    assert calls == [0]


@pytest.mark.parametrize(
    "value", [Model(1), iter([1]), open, {"deep": [Model(1)]}], ids=lambda each: type(each).__name__
)
def test_an_input_without_a_canonical_form_is_named(settings, value):
    @with_storage(cache=True)
    def train(data, model):
        calls.append(0)

    with pytest.raises(CacheKeyError, match=r"parameter 'model' of 'train', no cached result can be kept") as caught:
        train(data=1, model=value)

    assert (caught.value.function, caught.value.param, calls) == ("train", "model", [])


def test_a_variable_without_a_canonical_form_is_named(settings):
    model = threading.Lock()

    @with_storage(cache=True)
    def train(x):
        return model, x

    with pytest.raises(CacheKeyError, match="uses the variable 'model' of the function around it"):
        train(x=1)


def test_a_reference_without_a_digest_is_no_key(settings):
    with pytest.raises(CacheKeyError, match="pins no digest"):
        noise(n=ref_to(None))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cache": 30}, TypeError, "cache as True, False or a timedelta, not int"),
        ({"cache": timedelta(0)}, ValueError, "greater than zero"),
        ({"cache": True, "version": 3}, TypeError, "version as str"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_at_decoration(options, error, message):
    with pytest.raises(error, match=message):
        with_storage(**options)(lambda x: x)
