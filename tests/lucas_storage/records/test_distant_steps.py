"""How the record that another process writes of a step completes that of its run."""

from __future__ import annotations

import pytest

from actorc.storage.errors import NetworkError
from lucas_storage import Storage, with_storage
from lucas_storage.records import distant_steps, record_store, record_text
from lucas_storage.records.distant_steps import joined, text_in_run, told_by_others
from lucas_storage.records.step_note import StepNote

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
