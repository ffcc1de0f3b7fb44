"""`cache=True`: what was computed before is not computed again, and is the same for everybody."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from lucas_storage import ArtifactRef, Storage, storage_context, with_storage
from lucas_storage.errors import CacheKeyError, UnsafeFormatError
from lucas_storage.records import record_store

SIGNING_KEY = "a signing key for tests alone"
DIGEST = "sha256:" + "ab" * 32

calls = []


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


def ref_to(digest=DIGEST, **fields):
    given = {"bucket": "b-1", "key": "k", "digest": digest, "size": 1, "format": "npy@1", **fields}
    return ArtifactRef(**given)


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


@pytest.mark.thorough
@pytest.mark.slow
def test_two_processes_that_compute_the_same_return_the_same_reference(environment, tmp_path):
    script = tmp_path / "twin.py"
    script.write_text(TWIN)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment()}
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
