"""`retries=`: a function that raises is called again, with values of its own, and no engine sees it fail."""

from __future__ import annotations

import asyncio
import inspect
import io
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from lucas_storage import ArtifactRef, Storage, run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import ArtifactNotFoundError, CacheKeyError, UnsafeFormatError
from lucas_storage.records import run_history
from lucas_storage.steps.attempt_policy import AttemptPolicy

pytestmark = pytest.mark.usefixtures("settings", "empty_registry")


@pytest.fixture
def calls():
    """A list that functions under test append to; a step reaches it as the object that it is."""
    return []


def at_once(retries):
    return with_storage(retries=retries, backoff=0)


def test_the_first_attempt_that_succeeds_is_the_result(calls):
    @at_once(3)
    def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise ValueError("not yet")
        return 2 * x

    assert flaky(x=4) == 8
    assert calls == [4, 4, 4]


def test_the_error_of_the_last_attempt_is_raised_as_it_is_and_says_which_it_was(calls):
    @at_once(2)
    def failing():
        calls.append(1)
        raise KeyError(f"attempt {len(calls)}")

    with pytest.raises(KeyError, match="attempt 3") as raised:
        failing()

    assert raised.value.__notes__ == ["this was attempt 3 of 3"]
    assert raised.value.__context__ is None


@pytest.mark.parametrize("options", [{}, {"retries": 0}, {"backoff": 5}])
def test_without_retries_a_function_is_called_once(calls, options):
    @with_storage(**options)
    def failing():
        calls.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        failing()

    assert calls == [1]


def test_each_attempt_gets_values_that_no_other_has_changed(storage, calls):
    array = storage.put(np.zeros(3)).to_json()

    @at_once(1)
    def spoils(array: np.ndarray, names: list, table: dict) -> list:
        calls.append((array.tolist(), list(names), dict(table)))
        array += 1
        names.append("spoilt")
        table["key"] = "spoilt"
        if len(calls) == 1:
            raise ValueError("spoilt everything")
        return names

    spoils(array=array, names=["a"], table={"key": "value"})

    assert calls == [([0, 0, 0], ["a"], {"key": "value"})] * 2


def test_streams_and_open_files_are_read_from_their_start(calls):
    @at_once(1)
    def reads(items: Iterator[int], more: list, file: io.BufferedReader) -> int:
        calls.append((list(items), [list(each) for each in more], bytes(file.read())))
        if len(calls) == 1:
            raise ValueError("read everything")
        return 0

    reads(items=iter([1, 2]), more=[(str(n) for n in range(2))], file=io.BytesIO(b"content"))

    assert calls == [([1, 2], [["0", "1"]], b"content")] * 2


def test_a_scratch_directory_is_fresh_and_that_of_a_failed_attempt_is_gone(calls):
    @at_once(1)
    def writes(storage: Storage) -> Path:
        file = storage.scratch() / "file"
        before = [earlier.exists() for earlier in calls]
        calls.append(file.parent)
        file.write_text(f"attempt {len(calls)}, {before}")
        if len(calls) == 1:
            raise ValueError("half written")
        return file

    assert ArtifactRef.parse(writes()).path().read_text() == "attempt 2, [False]"


def test_a_generator_that_breaks_off_is_run_again_from_its_beginning(calls):
    @at_once(1)
    def counts(n: int) -> Iterator[int]:
        calls.append(n)
        yield 0
        if len(calls) == 1:
            raise OSError("connection lost")
        yield from range(1, n)

    assert list(ArtifactRef.parse(counts(n=3)).load()) == [0, 1, 2]
    assert calls == [3, 3]


def test_an_async_function_is_awaited_again(calls):
    @at_once(1)
    async def flaky() -> int:
        await asyncio.sleep(0)
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not yet")
        return len(calls)

    assert flaky() == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_an_interrupt_or_exit_ends_the_step_at_once(calls, stop):
    @at_once(3)
    def interrupted():
        calls.append(1)
        raise stop

    with pytest.raises(stop):
        interrupted()

    assert calls == [1]


def test_what_is_wrong_with_arguments_is_not_tried_again(storage, calls, caplog):
    @at_once(3)
    def step(file: Path) -> int:
        calls.append(file)
        return 0

    gone = storage.put(b"x" * 10_000)
    storage.delete_object(gone.bucket, gone.key)

    with pytest.raises(ArtifactNotFoundError):
        step(file=gone.to_json())
    with pytest.raises(TypeError, match="parameter 'file'"):
        step(file="text")
    with pytest.raises(TypeError):
        step()
    assert (calls, caplog.records) == ([], [])


def test_a_result_of_the_wrong_type_or_without_a_format_is_not_tried_again(calls):
    @at_once(3)
    def wrong() -> Path:
        calls.append(1)
        return 3

    @with_storage(retries=3, backoff=0, pickle=False)
    def held() -> object:
        calls.append(2)
        return threading.Lock()

    with pytest.raises(TypeError):
        wrong()
    with pytest.raises(UnsafeFormatError):
        held()
    assert calls == [1, 2]


def test_a_cached_step_is_attempted_again_and_then_kept(calls):
    @with_storage(retries=2, backoff=0, cache=True, version="1")
    def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise ValueError("not yet")
        return x

    assert (flaky(x=5), flaky(x=5)) == (5, 5)
    assert calls == [5] * 3


def test_a_cached_step_whose_input_has_no_key_fails_before_any_attempt(calls):
    @with_storage(retries=2, backoff=0, cache=True, version="1")
    def step(x: object) -> int:
        calls.append(x)
        return 0

    with pytest.raises(CacheKeyError):
        step(x=threading.Lock())
    assert calls == []


def test_the_number_of_retries_is_no_part_of_the_key_of_a_result(calls):
    def body(x: int) -> int:
        calls.append(x)
        return x

    for options in ({}, {"retries": 3}, {"backoff": 0.5}):
        assert with_storage(cache=True, **options)(body)(x=1) == 1

    assert calls == [1]


def test_a_checkpoint_of_a_failed_attempt_is_found_by_the_next(calls):
    @at_once(2)
    def trains(epochs: int, storage: Storage) -> list:
        checkpoint = storage.checkpoint()
        state = checkpoint.load(default=[])
        calls.append(len(state))
        while len(state) < epochs:
            state.append(len(state))
            checkpoint.save(state)
            if len(state) in (2, 4):
                raise MemoryError("no room")
        return state

    assert trains(epochs=5) == [0, 1, 2, 3, 4]
    assert calls == [0, 2, 4]


def test_a_nested_step_has_attempts_of_its_own(calls):
    @at_once(1)
    def inner() -> int:
        calls.append("inner")
        if calls.count("inner") % 2:
            raise ValueError("not yet")
        return 1

    @at_once(1)
    def outer() -> int:
        calls.append("outer")
        found = inner()
        if calls.count("outer") == 1:
            raise ValueError("not yet")
        return found

    assert outer() == 1
    assert calls == ["outer", "inner", "inner", "outer", "inner", "inner"]


def registered(body, **options):
    return function(name=body.__name__)(with_storage(**options)(body))


def test_the_record_of_a_run_has_each_attempt(storage, calls):
    def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise [ValueError, KeyError][len(calls) - 1]("not yet")
        return x

    registered(flaky, retries=3, backoff=0)
    registered(unchanged, retries=3)

    @workflow
    def flow(wf):
        return wf.call("unchanged", {"x": wf.call("flaky", {"x": wf.input()["x"]})})

    assert run(flow, {"x": 7}) == 7
    first, second = run_history.find(storage, "last").steps

    assert [attempt.error for attempt in first.attempts] == ["ValueError", "KeyError", None]
    assert all(attempt.seconds >= 0 for attempt in first.attempts)
    assert (first.error, second.attempts) == (None, ())


def unchanged(x: int) -> int:
    return x


def test_the_record_of_a_step_that_failed_for_good_has_all_attempts(storage):
    def failing() -> int:
        raise ValueError("never")

    registered(failing, retries=1, backoff=0)

    @workflow
    def flow(wf):
        return wf.call("failing", {})

    with pytest.raises(ValueError, match="never"):
        run(flow)
    (step,) = run_history.find(storage, "last").steps

    assert [attempt.error for attempt in step.attempts] == ["ValueError", "ValueError"]
    assert step.error == "ValueError"


def test_a_step_in_its_pause_is_not_attempted_again_once_its_run_has_failed(storage):
    attempted, paused, ended = [], threading.Event(), threading.Event()

    def flaky():
        attempted.append(1)
        paused.set()
        raise OSError("not yet")

    def failing():
        paused.wait(30)
        raise ValueError("the run fails")

    def told(*args, **kwargs):
        try:
            return shipped(*args, **kwargs)
        except RuntimeError:
            ended.set()
            raise

    shipped = with_storage(retries=1, backoff=300)(flaky)
    function(name="flaky")(told)
    registered(failing)

    @workflow
    def flow(wf):
        return [wf.call("flaky", {}), wf.call("failing", {})]

    with pytest.raises(ValueError, match="the run fails"):
        run(flow)

    assert ended.wait(30)
    assert attempted == [1]


def test_attempts_that_failed_are_warned_of_with_a_short_text(caplog):
    @at_once(1)
    def failing():
        raise ValueError("x" * 10_000_000)

    with pytest.raises(ValueError, match="xxx"):
        failing()
    (record,) = caplog.records

    assert record.getMessage().startswith("attempt 1 of 2 at 'failing' failed with ValueError (xxx")
    assert len(record.getMessage()) < 1000


def test_an_error_that_cannot_be_shown_is_attempted_again(calls):
    class SilentError(Exception):
        def __str__(self):
            raise RuntimeError("not to be shown")

    @at_once(1)
    def failing():
        calls.append(None)
        if len(calls) == 1:
            raise SilentError
        return 7

    assert failing() == 7


def test_pauses_double_up_to_five_minutes_and_chance_takes_up_to_half():
    policy = AttemptPolicy.of_options({"retries": 10**9, "backoff": timedelta(seconds=2)})

    for attempt, most in [(1, 2), (2, 4), (3, 8), (7, 128), (9, 300), (10**8, 300)]:
        pauses = {policy.pause(attempt) for _ in range(50)}
        assert most / 2 <= min(pauses) < max(pauses) <= most


@pytest.mark.parametrize("backoff", [0, 0.0, timedelta(0)])
def test_a_backoff_of_zero_is_no_pause(backoff):
    assert AttemptPolicy.of_options({"retries": 3, "backoff": backoff}).pause(3) == 0


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"retries": True}, TypeError, "retries as int, not bool"),
        ({"retries": 1.0}, TypeError, "retries as int, not float"),
        ({"retries": "3"}, TypeError, "retries as int, not str"),
        ({"retries": -1}, ValueError, "retries is a number from 0 up, not -1"),
        ({"backoff": True}, TypeError, "backoff as seconds or a timedelta, not bool"),
        ({"backoff": "1s"}, TypeError, "backoff as seconds or a timedelta, not str"),
        ({"backoff": -0.1}, ValueError, "backoff is a number of seconds from 0 up"),
        ({"backoff": float("nan")}, ValueError, "backoff is a number of seconds"),
        ({"backoff": float("inf")}, ValueError, "backoff is a number of seconds"),
        ({"backoff": 10**400}, ValueError, "backoff is a number of seconds"),
        ({"backoff": timedelta(seconds=-1)}, ValueError, "backoff is a number of seconds"),
        ({"timeout": True}, TypeError, "timeout as seconds or a timedelta, not bool"),
        ({"timeout": 0}, ValueError, "timeout is a number of seconds greater than 0"),
        ({"timeout": timedelta(0)}, ValueError, "timeout is a number of seconds greater than 0"),
        ({"timeout": float("nan")}, ValueError, "timeout is a number of seconds"),
        ({"timeout": -3}, ValueError, "timeout is a number of seconds"),
    ],
)
def test_wrong_options_are_refused_at_decoration(options, error, text):
    with pytest.raises(error, match=text):
        with_storage(**options)


def test_a_function_with_retries_is_refused_by_workers_that_would_ignore_them():
    def step(): ...

    versions = [with_storage(**options)(step).__reduce__()[1][0] for options in ({}, {"retries": 0}, {"retries": 1})]

    assert versions == [1, 1, 3]


def test_a_result_stays_in_the_store_of_the_settings_in_force(storage, calls):
    @at_once(1)
    def flaky() -> bytes:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not yet")
        return b"x" * 10_000

    with storage_context(prefix="elsewhere"):
        assert ArtifactRef.parse(flaky()).key.startswith("elsewhere/")
    assert list(inspect.signature(flaky).parameters) == []
