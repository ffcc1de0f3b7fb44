"""`cache=True` and resuming: what was computed before is not computed again, and is the same for everybody."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter, OrderedDict, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
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

from lucas_storage import ArtifactRef, Storage, run, settings, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import CacheKeyError, UnsafeFormatError
from lucas_storage.records import record_store
from lucas_storage.refs import inline_ref
from lucas_storage.steps.call_key import call_key
from lucas_storage.values.annotations.annotation_reader import parameter_annotations

SIGNING_KEY = "a signing key for tests alone"
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


@pytest.fixture
def in_bucket(storage):
    """Return the keys of the records of cached results."""

    def memos():
        return [one["key"] for one in storage.iter_objects(storage.bucket, "memo/")]

    return memos


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


# Keeping and finding again


def test_equal_inputs_give_the_very_same_result_without_a_call(settings):
    first, second, other = noise(n=10_000), noise(n=10_000), noise(n=10_001)

    assert calls == [10_000, 10_001]
    assert first == second != other


def test_small_results_and_none_are_kept_too(settings):
    @with_storage(cache=True)
    def small(x):
        calls.append(x)
        return None if x is None else {"x": x, "pair": (1, 2), "inf": float("inf")}

    assert small(x=1) == small(x=1)
    assert small(x=None) == small(x=None)
    assert calls == [1, None]


def test_a_result_without_a_cache_is_made_every_time(settings, in_bucket):
    @with_storage
    def plain(x):
        calls.append(x)
        return x

    assert [plain(x=1), plain(x=1)] == [1, 1]
    assert (calls, in_bucket()) == ([1, 1], [])


def test_the_same_artifact_elsewhere_is_the_same_input(storage):
    @with_storage(cache=True)
    def total(x: np.ndarray):
        calls.append(0)
        return int(x.sum())

    ref = storage.put(np.arange(100_000))
    moved = replace(ref, key="elsewhere", run="01J")

    assert total(x=ref.to_json()) == total(x=ref) == total(x=moved.to_json())
    assert calls == [0]


def test_a_hit_is_small_work_for_the_store(settings, storage, monkeypatch):
    noise(n=10_000)
    asked = []
    for name in ("put_object", "head_object", "get_object", "download_to_stream", "list_objects"):
        genuine = getattr(Storage, name)
        monkeypatch.setattr(
            Storage,
            name,
            lambda self, *args, _g=genuine, _n=name, **kwargs: (asked.append(_n), _g(self, *args, **kwargs))[1],
        )

    noise(n=10_000)

    assert asked == ["head_object", "head_object"]


def test_what_expired_is_made_again_and_kept_again(storage, in_bucket):
    @with_storage(cache=timedelta(hours=1), version="1")
    def made(x):
        calls.append(x)
        return len(calls)

    first = made(x=1)
    planted(storage, in_bucket, at=time.time() - 3500)
    second = made(x=1)
    planted(storage, in_bucket, at=time.time() - 3601)
    third, fourth = made(x=1), made(x=1)

    assert [first, second, third, fourth] == [1, 1, 2, 2]


def test_a_result_whose_artifact_is_gone_is_made_again(storage, caplog):
    ref = ArtifactRef.parse(noise(n=10_000))
    storage.delete_object(ref.bucket, ref.key)

    with caplog.at_level(logging.WARNING):
        again = noise(n=10_000)

    assert calls == [10_000, 10_000]
    assert again == noise(n=10_000)
    assert "names artifacts that are gone" in caplog.text


def test_a_version_takes_the_place_of_the_source(settings):
    def made(version):
        @with_storage(cache=True, version=version)
        def named(x):
            calls.append(version)
            return version

        return named

    assert [made(each)(x=1) for each in ("1", "2", "1")] == ["1", "2", "1"]
    assert calls == ["1", "2"]


def test_a_changed_source_is_another_function(settings, tmp_path):
    def loaded(body):
        path = tmp_path / "steps.py"
        path.write_text(
            f"from lucas_storage import with_storage\n@with_storage(cache=True)\ndef f(x):\n    return {body}\n"
        )
        names = {"__name__": "steps", "__file__": str(path)}
        exec(compile(path.read_text(), str(path), "exec"), names)
        return names["f"]

    assert [loaded(body)(x=1) for body in ("x", "x + 1", "x")] == [1, 2, 1]


def test_what_a_function_closes_over_tells_it_apart(settings):
    def times(n):
        @with_storage(cache=True)
        def product(x):
            return x * n

        return product

    assert [times(n)(x=2) for n in (3, 4, 3)] == [6, 8, 6]


def test_a_default_counts_as_what_it_stands_for(settings):
    def with_default(n):
        @with_storage(cache=True)
        def product(x, n=n):
            return x * n

        return product

    assert [with_default(3)(x=2), with_default(4)(x=2), with_default(4)(x=2, n=3)] == [6, 8, 6]


def test_functions_of_two_scripts_are_two():
    from lucas_storage.steps.function_version import function_id

    def one(x):
        return x

    names = [{"__file__": f"/anywhere/{name}.py", "__spec__": None} for name in "ab"]
    both = [type(one)(one.__code__, each) for each in names]
    for each in both:
        each.__module__, each.__qualname__ = "__main__", "f"

    assert [function_id(each) for each in both] == ["a.py:f", "b.py:f"]


# Keys


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


# What cannot be a key


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


# Records are not believed


def planted(storage, in_bucket, **changes):
    """Change the only record of a cached result there is."""
    (key,) = in_bucket()
    record = record_store.read(storage, key)
    record_store.write(storage, key, {**record.content, **changes})


def test_an_unsigned_pickle_in_a_record_is_a_miss(storage, in_bucket, caplog):
    @with_storage(cache=True)
    def fit(x):
        calls.append(x)
        return Model(x)

    signed = ArtifactRef.parse(fit(x=1))
    planted(storage, in_bucket, result=signed.signed(None))

    with caplog.at_level(logging.WARNING):
        again = ArtifactRef.parse(fit(x=1))

    assert calls == [1, 1]
    assert again.signature is not None
    assert "read only from a signed reference" in caplog.text
    assert fit(x=1) == again.to_json()


def test_a_signed_pickle_in_a_record_is_a_hit(storage):
    @with_storage(cache=True)
    def fit(x):
        calls.append(x)
        return Model(x)

    fit(x=1)

    assert storage.get(fit(x=1)).weight == 1
    assert calls == [1]


def test_a_pickle_signed_with_another_key_is_a_miss(settings):
    @with_storage(cache=True)
    def fit(x):
        calls.append(x)
        return Model(x)

    fit(x=1)
    with storage_context(signing_key="quite another key for tests"):
        fit(x=1)

    assert calls == [1, 1]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"memo": 2}', b'{"memo":1,"at":"x","result":1}', b'{"a": {"$artifact": "lucas:bad"}}']
)
def test_a_record_that_is_none_is_a_miss_and_replaced(storage, in_bucket, text):
    first = noise(n=10_000)
    (key,) = in_bucket()
    storage.put_object(storage.bucket, key, text)

    second = noise(n=10_000)

    assert first != second == noise(n=10_000)


def test_a_record_may_name_a_store_that_nobody_knows(storage, in_bucket):
    first = noise(n=10_000)
    planted(storage, in_bucket, result=replace(ArtifactRef.parse(first), store="elsewhere"))

    assert noise(n=10_000) != first


def test_nothing_of_a_value_is_logged(settings, caplog):
    with caplog.at_level(logging.DEBUG):

        @with_storage(cache=True)
        def secretive(text):
            return text

        secretive(text="hunter2-hunter2")
        secretive(text="hunter2-hunter2")
        with pytest.raises(CacheKeyError) as caught:
            secretive(text=["hunter2-hunter2", Model(1)])

    assert "hunter2" not in caplog.text + str(caught.value)


def test_a_result_that_cannot_be_stored_is_not_kept(settings, in_bucket):
    @with_storage(cache=True)
    def fit(x):
        return Model(x)

    with storage_context(pickle="deny"), pytest.raises(UnsafeFormatError):
        fit(x=1)

    assert in_bucket() == []


# Two at once


TWIN = """
import os, sys
import numpy as np
from lucas_storage import with_storage

@with_storage(cache=True, version="1")
def noise(n):
    print("computing", flush=True)
    sys.stdin.readline()
    return np.frombuffer(os.urandom(n), dtype=np.uint8)

print(noise(n=10_000)["$artifact"], flush=True)
"""


def environment(given, **more):
    return {
        **os.environ,
        "STORAGE_ENDPOINT": given["endpoint"],
        "LUCAS_STORAGE_BUCKET": given["bucket"],
        "LUCAS_STORAGE_CACHE": str(given["cache_dir"]),
        "LUCAS_STORAGE_SIGNING_KEY": SIGNING_KEY,
        **more,
    }


@pytest.mark.thorough
@pytest.mark.slow
def test_two_processes_that_compute_the_same_return_the_same_reference(settings, tmp_path):
    script = tmp_path / "twin.py"
    script.write_text(TWIN)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment(settings)}
    twins = [subprocess.Popen([sys.executable, script], **pipes) for _ in range(2)]
    try:
        computing = [twin.stdout.readline() for twin in twins]
        for twin in twins:
            twin.stdin.write("\n")
            twin.stdin.flush()
        refs = [twin.communicate(timeout=60)[0].strip() for twin in twins]
    finally:
        for twin in twins:
            twin.kill()
            twin.wait()

    assert computing == ["computing\n"] * 2
    assert refs[0] == refs[1]
    assert ArtifactRef.parse(refs[0]).load().nbytes == 10_000


def test_whoever_comes_second_takes_over_what_was_kept(storage):
    results = iter(["mine", "theirs"])

    @with_storage(cache=True, version="1")
    def odd(x):
        mine = next(results)
        return {"value": mine, "other": odd(x=x)["value"] if mine == "mine" else None}

    assert odd(x=1) == {"value": "theirs", "other": None}


def called_at_once(*calls_to_make):
    """Make calls on a thread each, with the settings in force, and return what they return."""
    with ThreadPoolExecutor(len(calls_to_make)) as pool:
        futures = [pool.submit(copy_context().run, call) for call in calls_to_make]
        return [future.result(timeout=60) for future in futures]


@pytest.fixture
def together():
    """Where two calls meet, unless one of them does not come for a while."""
    barrier = threading.Barrier(2, timeout=0.2)

    def meet():
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait()

    return meet


def test_of_equal_calls_at_the_same_time_one_runs(settings, together):
    @with_storage(cache=True, version="1")
    def slow(x):
        calls.append(x)
        together()
        return os.urandom(10)

    first, second = called_at_once(lambda: slow(x=1), lambda: slow(x=1))

    assert calls == [1]
    assert first == second


def test_whoever_waits_for_a_call_that_fails_runs(settings, together):
    @with_storage(cache=True, version="1")
    def slow(x):
        calls.append(x)
        together()
        if len(calls) == 1:
            raise RuntimeError("the first one fails")
        return x

    def attempt():
        try:
            return slow(x=1)
        except RuntimeError as error:
            return str(error)

    assert {1, "the first one fails"} == set(called_at_once(attempt, attempt))


def test_steps_that_call_each_other_do_not_wait_for_each_other(settings):
    both = threading.Barrier(2, timeout=30)
    deep = threading.local()

    def call_the_other(other):
        if hasattr(deep, "yes"):
            return "deep"
        deep.yes = True
        both.wait()
        return other(x=1)

    @with_storage(cache=True, version="1")
    def ping(x):
        return call_the_other(pong)

    @with_storage(cache=True, version="1")
    def pong(x):
        return call_the_other(ping)

    assert called_at_once(lambda: ping(x=1), lambda: pong(x=1)) == ["deep", "deep"]


# Resuming


@pytest.fixture
def resuming(settings):
    with storage_context(resume=True):
        yield


@pytest.mark.parametrize("first", [None, True])
def test_a_run_that_failed_is_resumed(settings, capsys, first):
    @function
    @with_storage
    def double(x):
        calls.append(x)
        return 2 * x

    @function
    @with_storage
    def fail(x):
        if len(calls) < 2:
            calls.append("failed")
            raise InterruptedError
        return x

    @workflow
    def flow(wf):
        return wf.call("fail", {"x": wf.call("double", {"x": wf.input()["x"]})})

    with storage_context(resume=first), pytest.raises(InterruptedError):
        run(flow, {"x": 1})
    first_said = capsys.readouterr().err
    with storage_context(resume=True):
        value = run(flow, {"x": 1})

    assert (value, calls) == (2, [1, "failed"])
    assert first_said == ("lucas-storage: 0 of 2 steps reused, 2 executed\n" if first else "")
    assert capsys.readouterr().err == "lucas-storage: 1 of 2 steps reused (double), 1 executed\n"


def test_a_function_may_change_what_it_was_given(settings):
    @function
    @with_storage
    def add(xs):
        calls.append(0)
        xs.append(1)
        return sum(xs)

    @workflow
    def flow(wf):
        return wf.call("add", {"xs": wf.input()["xs"]})

    first = run(flow, {"xs": [1]})
    with storage_context(resume=True):
        values = [run(flow, {"xs": [1]}), run(flow, {"xs": [1, 1]})]

    assert (first, values, len(calls)) == (2, [2, 3], 2)


def test_what_is_resumed_is_the_last_run(settings):
    @function
    @with_storage(version="1")
    def fetch(url):
        calls.append(url)
        return len(calls)

    @workflow
    def flow(wf):
        return wf.call("fetch", {"url": wf.input()["url"]})

    values = [run(flow, {"url": "u"}), run(flow, {"url": "u"})]
    with storage_context(resume=True):
        values.append(run(flow, {"url": "u"}))
    with storage_context(resume=False):
        values.append(run(flow, {"url": "u"}))
    with storage_context(resume=True):
        values.append(run(flow, {"url": "u"}))

    assert values == [1, 2, 2, 3, 2]


def test_a_step_that_cannot_be_kept_runs_with_one_warning(resuming, caplog):
    @with_storage
    def train(model):
        calls.append(model.weight)
        return model.weight

    assert [train(model=Model(1)), train(model=Model(1))] == [1, 1]
    assert calls == [1, 1]
    assert caplog.text.count("this step runs every time") == 1


def test_the_wish_to_resume_is_shipped(monkeypatch):
    from lucas_storage.settings import shipped_policy

    options = {"store": None, "inline_max": None, "pickle": None}
    monkeypatch.setenv("LUCAS_STORAGE_RESUME", "1")

    assert shipped_policy(options)["resume"] is True
    assert settings.of_step().resume


PIPELINE = """
import os, signal, sys, time
import numpy as np
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo
from lucas import Workflow, function, workflow
from lucas_storage import run, with_storage

@function
@with_storage
def first(n):
    Path("log").open("a").write("first\\n")
    return np.arange(n)

@function
@with_storage
def second(x):
    Path("log").open("a").write("second\\n")
    return x * 2

@function
@with_storage
def third(x, storage):
    Path("log").open("a").write("third\\n")
    if os.environ.get("CRASH"):
        # Records are written beside the steps; a kill may cost the last ones.
        while len(list(storage.iter_objects(storage.bucket, "memo/"))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return int(x.sum())

@workflow
def flow(wf: Workflow):
    return wf.call("third", {"x": wf.call("second", {"x": wf.call("first", {"n": wf.input()["n"]})})})

print(run(flow, {"n": 10_000}))
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_was(settings, tmp_path):
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    command = [sys.executable, "-m", "lucas_storage.cli", "run", "pipeline.py"]

    def attempt(**more):
        given = environment(settings, **more)
        return subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False, timeout=60)

    killed, resumed = attempt(CRASH="1"), attempt(LUCAS_STORAGE_RESUME="1")

    assert killed.returncode == -signal.SIGKILL
    assert (resumed.returncode, resumed.stdout) == (0, "99990000\n"), resumed.stderr
    assert "lucas-storage: 2 of 3 steps reused (first, second), 1 executed\n" in resumed.stderr
    assert (tmp_path / "log").read_text().split() == ["first", "second", "third", "third"]


@pytest.mark.parametrize("text", ["x" * 3000, "ä"], ids=["long", "not ASCII"])
def test_results_that_no_metadata_holds_are_kept_as_well(storage, in_bucket, text):
    @with_storage(cache=True)
    def same(x):
        calls.append(x)
        return x

    assert same(x=text) == same(x=text) == text
    assert calls == [text]
    assert storage.head_object(storage.bucket, in_bucket()[0])["metadata"] == {}


def test_a_record_is_json_that_anybody_can_read(storage, in_bucket):
    noise(n=10_000)
    (key,) = in_bucket()

    found = json.loads(storage.get_object(storage.bucket, key))

    assert {"memo", "function", "at", "age", "run", "result"} == set(found)
    assert found["function"].endswith(":noise")
