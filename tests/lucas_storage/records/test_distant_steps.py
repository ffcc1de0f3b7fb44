"""How the record that another process writes of a step completes that of its run."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage.errors import NetworkError
from lucas_storage import Storage, run, with_storage
from lucas_storage.embedded import function, routeBuilder, workflow
from lucas_storage.records import called_steps, distant_steps, record_store, record_text, run_history, run_log
from lucas_storage.records.called_steps import called_by
from lucas_storage.records.distant_steps import joined, text_in_run, told_by_others
from lucas_storage.records.index.run_index import digits_of
from lucas_storage.records.index.run_indexing import RunIndex
from lucas_storage.records.step_note import StepNote
from lucas_storage.records.ulid import ulid

KNOWN = {"key": "K", "after": ["A"], "started": 1.0, "told": "T", "state": "succeeded", "error": None, "seconds": 2.0}


def test_what_the_run_knows_stays_and_the_rest_is_told():
    told = {
        "key": "other",
        "after": [],
        "started": 9.0,
        "state": "succeeded",
        "error": None,
        "seconds": 1.0,
        "out": [],
    }

    assert joined(KNOWN, told) == {**KNOWN, "seconds": 1.0, "out": []}


def test_an_error_is_that_of_the_function_and_not_of_the_call():
    known = {**KNOWN, "state": "failed", "error": "RemoteFunctionError", "message": "on its worker"}
    told = {"state": "failed", "error": "ValueError", "message": "no"}

    assert joined(known, told) == {**known, **told}


@pytest.mark.parametrize("told", [{"state": "succeeded", "error": None}, {"state": "running", "error": None}])
def test_a_call_that_failed_did_so_whatever_its_process_thought(told):
    known = {**KNOWN, "state": "failed", "error": "RemoteFunctionError"}

    assert joined(known, {**told, "given": {}}) == {**known, "given": {}}


def test_a_step_that_ended_does_not_run():
    assert joined(KNOWN, {"state": "running", "seconds": 0.0, "error": None}) == KNOWN


def test_a_record_that_says_that_a_step_runs_is_not_its_last(storage, monkeypatch):
    monkeypatch.setattr("lucas_storage.records.distant_steps._BETWEEN", 0.0)
    note = StepNote(function="f", inputs={}, told="T", is_ended=True)
    record_store.write(storage, record_store.step_key("R", "T"), {"state": "running", "given": {}})
    before = told_by_others(storage, "R", [note])
    record_store.write(storage, record_store.step_key("R", "T"), {"state": "succeeded", "given": {}})

    assert before == {}
    assert b'"brief":true' in text_in_run(note, before.get(note.key))
    assert told_by_others(storage, "R", [note]) == {note.key: {"state": "succeeded", "given": {}}}


def test_a_hostile_record_of_another_process_changes_nothing_else(storage):
    note = StepNote(function="f", inputs={}, told="T", is_ended=True)
    told = {"key": [], "after": "x", "state": 3, "error": {"a": []}, "given": [], "told": "U", "brief": 5}
    text = record_text.decode(text_in_run(note, told))

    assert (text["key"], text["function"], text["told"], text["after"]) == (note.key, "f", "T", [])


def test_a_process_without_storage_tells_nothing_and_runs_the_step(settings, tmp_path, caplog, monkeypatch):
    began = []
    genuine = distant_steps.RecordWriter
    monkeypatch.setattr(distant_steps, "_writers", {})
    monkeypatch.setattr(distant_steps, "RecordWriter", lambda *given: began.append(genuine(*given)) or began[-1])
    monkeypatch.setattr(Storage, "put_objects", lambda *_, **__: (_ for _ in ()).throw(NetworkError("away")))

    @with_storage
    def grow(x):
        return x + 1

    place = {"run": "R", "step": "S", "told": "T", "after": [], "store": "default", "values": "none"}
    assert grow.called_at(place, {"x": 1}) == 2
    assert began[0]._working.acquire(timeout=30)

    assert [grow.called_at(place, {"x": x}) for x in range(3)] == [1, 2, 3]
    assert len(began) == 1
    assert caplog.text.count("records of steps are not written for a while because of NetworkError") == 1


@with_storage(inline_max=0)
def part(n):
    if n < 0:
        raise ValueError(n)
    return b"x" * n


@with_storage
def whole(sizes):
    return [part(size) for size in sizes]


@pytest.fixture
def distant_run(storage):
    """Run a workflow one of whose steps is called as in another process; return the run as it is read."""
    monkeypatched = pytest.MonkeyPatch()
    monkeypatched.setattr(routeBuilder, "funcs", [])
    monkeypatched.setattr(distant_steps, "_writers", {})

    def made(sizes, fails=None):
        @function
        def outer(rt):
            sizes = rt.input()["sizes"]
            distant = run_log.distant_step("whole")
            try:
                with ThreadPoolExecutor(1) as elsewhere:  # without the context of the run
                    return elsewhere.submit(whole.called_at, distant.place, {"sizes": sizes}).result()
            finally:
                distant.end(sys.exception())

        @workflow
        def flow(wf):
            return wf.call("outer", {"sizes": wf.input()["sizes"]})

        with fails or contextlib.nullcontext():
            run(flow, {"sizes": sizes}, materialize=False)
        return run_history.find(storage, "last")

    yield made
    monkeypatched.undo()


def test_steps_that_a_step_in_another_process_calls_are_steps_of_the_run(storage, distant_run):
    past = distant_run([100, 200])
    outer, *called = past.steps

    assert [each.function for each in past.steps] == ["whole", "part", "part"]
    assert [each.after for each in called] == [(outer.key,)] * 2
    assert [each.given for each in called] == [{"n": 100}, {"n": 200}]
    assert [each.outputs[0].size for each in called] == [100, 200]
    assert called[0].source.load().startswith("#")
    index = RunIndex(storage)
    assert [entry.run for entry in index.entries(digits_of(called[0].outputs[0].ref))] == [past.key]


def test_a_step_called_in_another_process_that_fails_says_so(distant_run):
    past = distant_run([1, -1], pytest.raises(ValueError, match="-1"))

    assert [(each.function, each.error) for each in past.steps] == [
        ("whole", "ValueError"),
        ("part", None),
        ("part", "ValueError"),
    ]


def test_of_very_many_called_steps_the_first_are_recorded(distant_run, monkeypatch):
    monkeypatch.setattr(distant_steps, "MOST", 3)

    assert len(distant_run([1] * 10).steps) == 1 + 3


def test_a_record_that_says_it_is_of_another_step_is_none_of_a_called_one(storage):
    mine, other = ulid(), ulid()
    record_store.write(storage, record_store.step_key("R", mine), {"key": other, "function": "forged"})

    assert called_by(storage, "R", [{"calls": [mine, "../x", 5, None]}, {"calls": "no list"}]) == []


def test_no_record_makes_the_end_of_a_run_read_more_than_its_share(storage, monkeypatch):
    monkeypatch.setattr(called_steps, "MOST_OF_RUN", 3)
    keys = [ulid() for _ in range(5)]
    for key in keys:
        record_store.write(storage, record_store.step_key("R", key), {"key": key})

    assert len(called_by(storage, "R", [{"calls": keys[:2]}, {"calls": keys}])) == 3
