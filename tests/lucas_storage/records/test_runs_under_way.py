"""Runs that go on, that are lost, and whose store is away for a while."""

from __future__ import annotations

import threading
import time

import pytest

from actorc.storage.errors import NetworkError
from lucas_storage import Storage, run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.records import record_store, record_writer, run_history, run_record
from tests.lucas_storage.records.one_step import flow_of, last

pytestmark = pytest.mark.usefixtures("empty_registry")


@pytest.fixture
def eager(monkeypatch):
    """Let a step be recorded as running at once, and the record of its run be written again and again."""
    monkeypatch.setattr(record_writer, "LOOK", 0.01)
    monkeypatch.setattr(run_record, "LOOK", 0.0)
    monkeypatch.setattr(run_record, "BEAT", 0.01)


@pytest.mark.usefixtures("eager")
def test_a_step_that_runs_is_seen_while_it_does(storage):
    seen = threading.Event()

    def watch(x, storage: Storage):
        while not (found := run_history.recent(storage, 1)) or not found[0].steps:
            assert not seen.wait(0.01)
        (past,) = found
        return [past.status, past.steps[0].state, past.steps[0].given == {"x": 1}, past.steps[0].seconds]

    assert run(flow_of(watch, "x"), {"x": 1}) == ["running", "running", True, 0.0]
    assert (last(storage).status, [step.state for step in last(storage).steps]) == ("succeeded", ["succeeded"])


@pytest.mark.usefixtures("eager")
def test_a_run_that_goes_on_says_so_again_and_again(storage):
    seen = threading.Event()

    def watch(x, storage: Storage):
        key = run_history.recent(storage, 1)[0].key if run_history.recent(storage, 1) else None
        beats = set()
        while len(beats) < 3:
            assert not seen.wait(0.01)
            key = key or next((past.key for past in run_history.recent(storage, 1)), None)
            record = record_store.read(storage, f"runs/{key}/run.json")
            beats |= {record.content["beat"]} if record else set()
        return len(beats)

    assert run(flow_of(watch, "x"), {"x": 1}) == 3


@pytest.fixture
def outage(monkeypatch):
    """Return what each refused record releases, and the event while which the store takes none."""
    refused, is_away = threading.Semaphore(0), threading.Event()
    genuine = Storage.put_objects

    def put_objects(self, *args, **kwargs):
        if is_away.is_set():
            refused.release()
            raise NetworkError("away")
        return genuine(self, *args, **kwargs)

    monkeypatch.setattr(Storage, "put_objects", put_objects)
    return refused, is_away


@pytest.mark.usefixtures("eager")
def test_a_store_that_is_away_for_a_while_during_a_long_step_costs_no_record(storage, outage, caplog):
    refused, is_away = outage

    def wait(x):
        while not run_history.recent(storage, 1):
            assert not is_away.wait(0.01)
        is_away.set()
        for _ in range(3):
            assert refused.acquire(timeout=30)
        is_away.clear()
        return x

    assert run(flow_of(wait, "x"), {"x": 1}) == 1

    assert (last(storage).status, [step.state for step in last(storage).steps]) == ("succeeded", ["succeeded"])
    assert "records of this run are not written" not in caplog.text


@pytest.mark.parametrize("is_back_before_the_end", [True, False])
def test_a_store_that_is_away_while_steps_end_costs_no_record(
    storage, outage, monkeypatch, caplog, is_back_before_the_end
):
    monkeypatch.setattr(record_writer, "PAUSE", 0.01)
    refused, is_away = outage

    def first(x):
        is_away.set()
        return x

    def second(x):
        for _ in range(3):
            assert refused.acquire(timeout=30)
        is_away.clear()
        while is_back_before_the_end and not any(step.function == "first" for step in steps_so_far()):
            assert not is_away.wait(0.01)
        return x

    def steps_so_far():
        return [step for past in run_history.recent(storage, 1) for step in past.steps]

    for body in (first, second):
        function(name=body.__name__)(with_storage(body))

    @workflow
    def flow(wf):
        return wf.call("second", {"x": wf.call("first", {"x": wf.input()["x"]})})

    with caplog.at_level("WARNING", "lucas_storage"):
        assert run(flow, {"x": 1}) == 1

    assert (last(storage).status, [step.state for step in last(storage).steps]) == ("succeeded", ["succeeded"] * 2)
    assert all(step.source for step in last(storage).steps)
    assert caplog.text == ""


def test_a_run_of_which_nothing_is_heard_is_lost(storage, monkeypatch):
    key = "01M8FP24KN2PN0D0J1VZF7A8YV"
    step = {"step": 1, "key": key, "function": "f", "started": 5.0, "state": "running"}
    record_store.write(storage, f"runs/{key}/run.json", {"run": 1, "workflow": "w", "status": "running", "beat": 5.0})
    record_store.write(storage, f"runs/{key}/steps/{key}.json", step)
    before = last(storage)
    monkeypatch.setattr(run_history.time, "time", lambda: time.monotonic() + 1e10)

    assert (before.status, before.steps[0].state) == ("running", "running")
    assert (last(storage).status, last(storage).steps[0].state) == ("lost", "lost")


def test_steps_that_a_failed_run_leaves_behind_are_lost_in_its_record(storage):
    free = threading.Event()

    def fail(x):
        raise ValueError("no")

    def wait(x):
        assert free.wait(30)
        return x

    function(name="fail")(with_storage(fail))
    function(name="wait")(with_storage(wait))

    @workflow
    def flow(wf):
        return wf.func(lambda a, b: [a, b], wf.call("wait", {"x": 1}), wf.call("fail", {"x": 1}))

    try:
        with pytest.raises(ValueError, match="no"):
            run(flow, {})
        states = {step.function: step.state for step in last(storage).steps}
    finally:
        free.set()

    assert states == {"fail": "failed", "wait": "lost"}
