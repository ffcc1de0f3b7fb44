"""A step runs again alone, on its own inputs, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lucas_storage
from actorc.storage.errors import InvalidParameterError
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server
from lucas_storage import Storage, run, storage_context, with_storage
from lucas_storage.bundles.export import export
from lucas_storage.bundles.import_run import import_bundle
from lucas_storage.embedded import function, routeBuilder, workflow
from lucas_storage.errors import (
    ArtifactNotFoundError,
    DigestMismatchError,
    FunctionLoadError,
    NotFoundError,
    UnsupportedError,
)
from lucas_storage.records import run_history
from lucas_storage.replay.replay import replay
from lucas_storage.replay.selection import step_of
from lucas_storage.replay.shipped import as_shipped
from lucas_storage.storage import are_handles_replaced, storage_for


@with_storage
def numbers(n):
    return np.arange(n)


@with_storage
def table(x: np.ndarray):
    return pd.DataFrame({"x": x, "y": x * 2})


@with_storage
def small(x):
    return {"rows": len(x), "deep": [1, 2.5, None, "text"]}


@with_storage
def folder(x, storage: Storage):
    path = storage.scratch()
    (path / "a.txt").write_text("text")
    (path / "b").mkdir()
    (path / "b" / "rows.bin").write_bytes(bytes(range(256)) * 100)
    return path


@with_storage
def several(x):
    return {"list": [np.ones(20_000), np.zeros(20_000)], "size": len(x)}


@with_storage
def stream(x) -> Iterator[int]:
    for number in range(3):
        yield number + len(x)


@with_storage
async def later(x):
    return len(x)


@with_storage
def runtime_style(rt):
    return {"sum": int(rt.input()["x"].sum())}


@with_storage(timeout=60, retries=1)
def timed(x):
    return len(x)


@with_storage
def nesting(x):
    return {"inner": small(x=x), "table": table(x=x)}


@with_storage(cache=True)
def cached(x):
    return len(x)


@dataclass
class Box:
    value: int


@with_storage
def box(x):
    return Box(len(x))


@with_storage
def noise(x):
    return np.random.default_rng(random.randrange(1 << 60)).random(20_000)


@pytest.mark.parametrize(
    "body",
    [
        *(table, small, folder, several, stream, later, runtime_style, nesting, cached, box),
        pytest.param(timed, marks=pytest.mark.slow),  # in the run it has a process of its own
    ],
    ids=lambda body: body.__name__,
)
def test_a_step_that_always_does_the_same_is_identical_and_leaves_nothing(ran, again, stored, body):
    past = ran(numbers, body, n=20_000)
    before = stored()

    assert again(past, body.__name__).verdict == "identical"
    assert again(past, "numbers").verdict == "identical"
    assert stored() == before


def test_a_step_that_never_does_the_same_is_different_and_leaves_nothing(ran, again, stored):
    past = ran(numbers, noise, n=10)
    before = stored()

    outcome = again(past, "noise")

    assert outcome.verdict == "different"
    assert outcome.differences[0].startswith("npy@1 156.4 KiB ")
    assert " instead of npy@1 156.4 KiB " in outcome.differences[0]
    assert stored() == before


def test_small_results_are_compared_to_the_value(ran, again):
    @with_storage
    def half(n):
        return n / 2

    past = ran(half, n=4)

    assert again(past, "half").is_identical
    assert again(past, "half", {"n": 2}).differences == ("1.0 instead of 2.0",)


def test_longer_results_are_compared_by_their_fingerprint(ran, again):
    @with_storage
    def spread(n):
        return [n] * 500

    past = ran(spread, n=4)

    assert past.steps[0].returned is None
    assert again(past, "spread").is_identical
    assert again(past, "spread", {"n": True}).differences == ("another value",)


def test_a_failing_step_raises_its_error_again(ran, again):
    @with_storage
    def bad(n):
        return 1 / n

    past = ran(bad, n=0, fails=ZeroDivisionError)

    with pytest.raises(ZeroDivisionError):
        again(past)


def test_what_a_failed_step_left_can_be_looked_at(ran, storage):
    @with_storage
    def bad(x: np.ndarray, storage: Storage):
        path = storage.scratch() / "left.txt"
        path.write_text("left")
        ref = storage.put(np.ones(20_000))
        raise ValueError((str(path), ref.uri))

    past = ran(numbers, bad, n=20_000, fails=ValueError)
    step, seen = step_of(past, None), []

    def look(error):
        path, uri = error.args[0]
        seen.extend((Path(path), Path(path).read_text(), len(storage_for().get(uri))))

    with pytest.raises(ValueError, match="left"):
        replay(past, step, as_shipped(storage, step), failed=look)

    assert seen[1:] == ["left", 20_000]
    assert not seen[0].exists()


def test_a_step_that_failed_and_does_no_more_says_so(ran, again):
    @with_storage
    def bad(n):
        return 1 / n

    past = ran(bad, n=0, fails=ZeroDivisionError)

    assert str(again(past, changed={"n": 2})).startswith("bad: succeeded, and failed with ZeroDivisionError in the run")


def test_a_step_that_had_not_ended_is_compared_with_nothing(ran, storage):
    past = ran(numbers, n=20_000)
    lost = dataclasses.replace(past.steps[0], state="lost", outputs=())

    outcome = replay(past, lost, as_shipped(storage, lost))

    assert outcome.verdict == "unknown"
    assert str(outcome).startswith("numbers: succeeded, and had not ended in the run")


def test_a_cached_step_is_called_and_not_recalled(ran, again, tmp_path):
    trace = tmp_path / "calls"

    @with_storage(cache=True)
    def counted(n, path):
        with Path(path).open("a") as file:
            file.write("x")
        return n

    past = ran(counted, n=1, path=str(trace))
    again(past, "counted")

    assert trace.read_text() == "xx"


def test_retries_do_not_hide_the_first_error(ran, again, tmp_path):
    trace = tmp_path / "calls"

    @with_storage(retries=3, backoff=0)
    def flaky(path):
        with Path(path).open("a") as file:
            file.write("x")
        raise ValueError("flaky")

    past = ran(flaky, path=str(trace), fails=ValueError)
    trace.write_text("")
    with pytest.raises(ValueError, match="flaky"):
        again(past)

    assert trace.read_text() == "x"


def test_what_a_step_writes_is_read_back_by_it_and_by_nobody_else(ran, again, storage, stored):
    @with_storage
    def writer(n, storage: Storage):
        ref = storage.put(np.full(20_000, n))
        storage.publish(ref, "model", alias="prod")
        storage.put_object("other", "key", b"value")
        storage.checkpoint().save({"n": n})
        with storage.writer(name="x.bin") as file:
            file.write(bytes(100_000))
        return [
            int(storage.get(ref)[0]),
            storage.get_object("other", "key").decode(),
            storage.checkpoint().load()["n"],
            ref.stat().size,
            storage.stat(file.ref).size,
        ]

    past = ran(writer, n=5)
    for ref in ("model@prod",):
        storage.lookup(ref)
    storage.delete_object("other", "key")
    before = stored()

    assert again(past, "writer").verdict == "identical"
    assert again(past, "writer", {"n": 6}).verdict == "different"
    assert stored() == before


def test_threads_that_a_step_starts_leave_nothing_either(ran, storage, stored):
    @with_storage
    def threaded(n, storage: Storage):
        with ThreadPoolExecutor(2) as pool:
            return [ref.size for ref in pool.map(storage.put, [np.full(20_000, n + i) for i in range(3)])]

    past = ran(threaded, n=5)
    step = step_of(past, "threaded")
    before = stored()

    outcome = replay(past, step, as_shipped(storage, step), {"n": 50}, whole_process=True)

    assert outcome.is_identical  # their sizes are
    assert stored() == before
    assert not are_handles_replaced()


@pytest.mark.usefixtures("storage")
def test_a_key_that_may_only_read_is_enough(tmp_path):
    file, given = tmp_path / "keys.json", {"bucket": "bucket", "cache_dir": tmp_path / "cache"}
    admin, secret = add_key(file, [EVERYTHING])
    reader, other = add_key(file, [Statement.parse("read,list:bucket")])
    with local_server(keys=file) as server, storage_context(endpoint=server.endpoint, **given):
        with storage_context(access_key=admin.id, secret_key=secret):
            function(noise)
            run(workflow(lambda wf: wf.call("noise", {"x": 1})), {})
        with storage_context(access_key=reader.id, secret_key=other), Storage() as handle:
            past = run_history.find(handle, "last")
            step = step_of(past, "noise")

            assert replay(past, step, as_shipped(handle, step)).verdict == "different"


def test_a_step_begins_without_the_checkpoint_that_it_left(ran, again):
    @with_storage
    def resumed(n, storage: Storage):
        state = storage.checkpoint()
        before = state.load(0)
        state.save(before + 1)
        return before

    past = ran(resumed, n=5)

    assert again(past, "resumed").verdict == "identical"


def test_inputs_are_verified(ran, again, storage):
    past = ran(numbers, small, n=20_000)
    ref = past.steps[0].outputs[0].ref
    storage.put_object(ref.bucket, ref.key, bytes(ref.size))

    with storage_context(cache_dir=storage._settings.cache_root / "empty"), pytest.raises(DigestMismatchError):
        again(past, "small")


def test_an_input_that_is_gone_is_an_error(ran, again, storage, tmp_path):
    past = ran(numbers, small, n=20_000)
    ref = past.steps[0].outputs[0].ref
    storage.delete_object(ref.bucket, ref.key)

    with storage_context(cache_dir=tmp_path / "empty"), pytest.raises(ArtifactNotFoundError):
        again(past, "small")


def test_without_the_key_nothing_is_unpickled(ran, storage):
    past = ran(numbers, n=10)

    with (
        storage_context(signing_key="another key than that of the run"),
        pytest.raises(FunctionLoadError, match="--today") as caught,
    ):
        as_shipped(Storage(), step_of(past, "numbers"))
    assert "nobody vouches for" in caught.value.message


def test_a_record_without_a_function_says_what_to_do(ran, storage, monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_RECORD_VALUES", "none")
    past = ran(numbers, n=10)

    with pytest.raises(FunctionLoadError, match=r"no function to run.*--today"):
        as_shipped(storage, step_of(past, "numbers"))


def test_a_secret_is_asked_for(ran, again):
    @with_storage
    def login(password):
        return len(password)

    past = ran(login, password="hunter2-hunter2")

    with pytest.raises(UnsupportedError, match=r"leaves out .password.*--given"):
        again(past, "login")
    assert again(past, "login", {"password": "hunter2-hunter2"}).is_identical


def test_a_parameter_that_was_not_given_is_refused(ran, again):
    past = ran(numbers, n=10)

    with pytest.raises(InvalidParameterError, match="was given no parameter 'm'"):
        again(past, "numbers", {"m": 1})


def test_a_step_calls_functions_of_its_run_by_name(ran, again, storage, monkeypatch):
    @function
    @with_storage
    def double(x):
        return np.asarray(x) * 2

    @with_storage
    def calling(rt):
        rt.storage.put("kept", 5)
        doubled = rt.call("double", {"x": rt.input()["x"]})
        return {"doubled": doubled, "kept": rt.storage.get("kept"), "names": rt.storage.list()}

    past = ran(numbers, calling, n=20_000)
    monkeypatch.setattr(routeBuilder, "funcs", [])

    assert again(past, "calling").is_identical


def test_how_the_contents_differ_is_told(ran):
    @with_storage
    def drawn(n):
        values = np.zeros(20_000)
        values[7] = np.random.default_rng().random()
        return values

    ran(drawn, n=1)

    told = str(lucas_storage.last_run().replay("drawn")).splitlines()

    assert told[0] == "drawn: different"
    assert any("1 value" in line or "1 of 20" in line for line in told[2:]), told


def test_a_run_of_a_list_is_replayed_as_well(ran):
    ran(numbers, small, n=20_000)
    (past,) = lucas_storage.runs()

    assert past.replay("small").is_identical
    assert past.replay("numbers", given={"n": 3}).verdict == "different"


def test_results_of_a_run_from_another_bucket_are_the_same_but_for_places(ran, again, storage, tmp_path):
    @with_storage(inline_max=0)
    def parts(n):
        return [np.full(1000, number) for number in range(n)]

    past = ran(parts, n=3)
    export(storage, past, tmp_path / "a.zip")
    with storage_context(bucket="test-elsewhere"), Storage() as there:
        import_bundle(there, tmp_path / "a.zip")
        moved = run_history.find(there, past.key)
        step = step_of(moved, "parts")

        assert replay(moved, step, as_shipped(there, step)).is_identical


def test_the_function_of_another_step_is_not_run(ran, again, storage):
    past = ran(numbers, small, n=10)
    numbers_step, small_step = past.steps

    with pytest.raises(FunctionLoadError, match="names the function 'numbers'"):
        as_shipped(storage, dataclasses.replace(small_step, shipped=numbers_step.shipped))


def test_records_of_strangers_do_nothing_to_a_terminal(ran, again):
    packages = {"\x1b[2J" * 1000: "\u202e" * 1000, "": "1", "../..": "2", "numpy": "0"} | {
        f"p{n}": "1" for n in range(9999)
    }
    past = ran(noise, x=1)
    hostile = dataclasses.replace(past, packages=packages, python="\x1b[2J")

    text = str(again(hostile, "noise"))

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "more packages of other versions" in text
    assert len(text) < 5000


@pytest.fixture
def many(storage):
    @function
    @with_storage
    def part(i):
        return i

    @workflow
    def fan(wf):
        return [wf.call("part", {"i": i}) for i in range(3)]

    run(fan, {})
    return run_history.find(storage, "last")


def test_one_of_several_steps_is_named_by_number_or_key(many):
    assert step_of(many, "part#2") is many.steps[1]
    assert step_of(many, many.steps[2].key) is many.steps[2]
    assert step_of(many, many.steps[2].key.lower()) is many.steps[2]


@pytest.mark.parametrize(
    ("text", "kind", "match"),
    [
        ("part", InvalidParameterError, r"3 steps .*\(part#1, part#2, part#3\)"),
        ("0", InvalidParameterError, "3 steps"),
        ("part#4", NotFoundError, "has 3 steps"),
        ("part#0", NotFoundError, "has 3 steps"),
        ("other", NotFoundError, "no steps"),
        ("", NotFoundError, "no steps"),
        (None, NotFoundError, "failed"),
    ],
)
def test_what_does_not_mean_one_step_is_an_error_that_says_which_there_are(many, text, kind, match):
    with pytest.raises(kind, match=match):
        step_of(many, text)
