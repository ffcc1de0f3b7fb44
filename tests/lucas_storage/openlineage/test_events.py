"""A run tells catalogues of lineage what it does, in the form of OpenLineage, if a setting asks for it."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter

import numpy as np
import pytest

from lucas_storage import ArtifactRef, run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import SettingsError
from lucas_storage.openlineage import sender
from lucas_storage.openlineage.run_events import run_id
from lucas_storage.openlineage.sender import Sender
from lucas_storage.records import run_history
from lucas_storage.records.ulid import ulid

BIG = 20_000


def kinds(events):
    return [(event["eventType"], event["job"]["name"]) for event in events]


def test_nothing_is_told_unless_a_setting_names_a_receiver(storage, study, tmp_path, caplog):
    assert run(study, {"n": 3})["total"] == 3

    assert not {thread.name for thread in threading.enumerate()} & {"lucas-storage lineage"}
    assert caplog.records == []


def test_a_run_and_its_steps_start_and_complete(storage, study, tmp_path, events_in):
    with storage_context(openlineage_file=tmp_path / "folder" / "events.json"):
        result = run(study, {"n": BIG}, materialize=False)
    events = events_in(tmp_path / "folder" / "events.json")
    past = run_history.find(storage, "last")

    assert kinds(events) == [
        ("START", "study"),
        ("START", "study.make"),
        ("COMPLETE", "study.make"),
        ("START", "study.total"),
        ("COMPLETE", "study.total"),
        ("COMPLETE", "study"),
    ]
    assert {event["job"]["namespace"] for event in events} == {"lucas"}
    assert [event["eventTime"] for event in events] == sorted(event["eventTime"] for event in events)
    assert events[0]["run"]["runId"] == events[-1]["run"]["runId"] == run_id(past.key)
    assert [event["run"]["runId"] for event in events[1:5:2]] == [run_id(step.key) for step in past.steps]
    parents = [event["run"]["facets"]["parent"] for event in events[1:5]]
    assert {parent["run"]["runId"] for parent in parents} == {run_id(past.key)}
    assert {parent["job"]["name"] for parent in parents} == {"study"}
    assert result["total"] == sum(range(BIG))


def test_datasets_are_artifacts_with_their_digest_and_the_same_as_input_and_output(storage, study, tmp_path, events_in):
    with storage_context(openlineage_file=tmp_path / "events.json"):
        result = run(study, {"n": BIG}, materialize=False)
    _, start_make, end_make, start_total, end_total, end = events_in(tmp_path / "events.json")
    (made,), (taken,) = end_make["outputs"], end_total["inputs"]
    (given,) = end_total["outputs"]
    ref = ArtifactRef.parse(result["sorted"])

    assert (start_make["outputs"], start_total["outputs"], start_total["inputs"]) == ([], [], [taken])
    assert (made["namespace"], made["name"]) == (taken["namespace"], taken["name"])
    assert made["outputFacets"]["outputStatistics"]["size"] == taken["inputFacets"]["inputStatistics"]["size"] > BIG
    assert (given["namespace"], given["name"]) == (f"lucas://{ref.store}/{ref.bucket}", ref.key)
    assert given["facets"]["version"]["datasetVersion"] == ref.digest
    assert given["facets"]["storage"]["fileFormat"] == ref.format
    assert end["outputs"] == [given]


def test_the_source_of_a_function_is_told_once(storage, tmp_path, events_in):
    @function(name="unit")
    @with_storage
    def unit(n: int) -> int:
        return n + 41

    @workflow
    def flow(wf):
        return [wf.call("unit", {"n": n}) for n in range(3)]

    with storage_context(openlineage_file=tmp_path / "events.json"):
        run(flow)
    sources = [event["job"]["facets"].get("sourceCode") for event in events_in(tmp_path / "events.json")]

    (told,) = filter(None, sources)
    assert told["language"] == "PYTHON"
    assert "return n + 41" in told["sourceCode"]


@pytest.mark.parametrize(("values", "is_told"), [("all", True), ("errors", True), ("none", False)])
def test_an_error_is_told_as_far_as_records_may_hold_it(storage, study, tmp_path, events_in, values, is_told):
    present = storage_context(openlineage_file=tmp_path / "events.json", record_values=values)
    with present, pytest.raises(ValueError, match="nothing to add"):
        run(study, {"n": 0})
    *_, step, whole = events_in(tmp_path / "events.json")

    assert kinds([step, whole]) == [("FAIL", "study.total"), ("FAIL", "study")]
    for event in (step, whole):
        facet = event["run"]["facets"]["errorMessage"]
        assert facet["message"] == ("ValueError: nothing to add, hunter2" if is_told else "ValueError")
        assert facet["programmingLanguage"] == "PYTHON"
    assert ("raise ValueError" in step["run"]["facets"]["errorMessage"].get("stackTrace", "")) == is_told
    assert ("hunter2" in json.dumps(events_in(tmp_path / "events.json"))) == is_told


def test_an_interrupt_aborts_and_so_does_the_end_of_a_run_for_steps_that_go_on(storage, tmp_path, events_in):
    begun, go_on = threading.Event(), threading.Event()

    @function(name="long")
    @with_storage
    def long() -> int:
        begun.set()
        go_on.wait(60)
        return 1

    @function(name="interrupted")
    @with_storage
    def interrupted() -> int:
        begun.wait(60)
        raise KeyboardInterrupt

    @workflow
    def flow(wf):
        return [wf.call("long", {}), wf.call("interrupted", {})]

    with storage_context(openlineage_file=tmp_path / "events.json"), pytest.raises(KeyboardInterrupt):
        run(flow)
    go_on.set()
    ends = Counter(kinds(events_in(tmp_path / "events.json"))[3:])

    assert ends == Counter([("ABORT", "flow.interrupted"), ("ABORT", "flow.long"), ("ABORT", "flow")])


def test_a_reused_step_says_so_and_each_has_the_version_of_its_function(storage, tmp_path, events_in):
    @function(name="kept")
    @with_storage(cache=True, version="7")
    def kept(n: int) -> int:
        return n

    @workflow
    def flow(wf):
        return wf.call("kept", {"n": 1})

    with storage_context(openlineage_file=tmp_path / "events.json"):
        run(flow)
        run(flow)
    ends = [event for event in events_in(tmp_path / "events.json") if kinds([event]) == [("COMPLETE", "flow.kept")]]
    tags = [{tag["key"]: tag["value"] for tag in event["run"]["facets"]["tags"]["tags"]} for event in ends]

    assert tags == [{"function_version": "version:7"}, {"function_version": "version:7", "reused": "true"}]


def test_a_receiver_gets_each_event_by_a_post_with_the_key(storage, study, receiver):
    with storage_context(openlineage_url=receiver.url, openlineage_key="the key", openlineage_namespace="mine"):
        run(study, {"n": 3})

    assert Counter(kind for kind, _ in kinds(receiver.events)) == {"START": 3, "COMPLETE": 3}
    assert set(receiver.paths) == {"/api/v1/lineage"}
    assert {headers["Authorization"] for headers in receiver.headers} == {"Bearer the key"}
    assert {event["job"]["namespace"] for event in receiver.events} == {"mine"}


def test_a_url_with_a_path_is_used_as_it_is(storage, study, receiver, tmp_path, events_in):
    file = tmp_path / "events.json"
    with storage_context(openlineage_url=f"{receiver.url}/other/path", openlineage_file=file):
        run(study, {"n": 3})

    assert set(receiver.paths) == {"/other/path"}
    assert receiver.events == events_in(file)


def test_a_receiver_that_is_away_costs_one_warning(storage, study, caplog, tmp_path, events_in):
    file = tmp_path / "events.json"
    with storage_context(openlineage_url="http://127.0.0.1:1", openlineage_file=file):
        assert run(study, {"n": 3})["total"] == 3

    (record,) = caplog.records
    assert "OpenLineage events of this run are incomplete; http://127.0.0.1 took no event" in record.getMessage()
    assert len(events_in(file)) == 6


@pytest.mark.parametrize("status", [500, 401, 302, 307])
def test_a_receiver_that_refuses_or_sends_elsewhere_is_sent_no_more(storage, study, receiver, caplog, status):
    receiver.status = status
    with storage_context(openlineage_url=receiver.url, openlineage_key="the key"):
        assert run(study, {"n": 3})["total"] == 3

    assert len(receiver.paths) == 1
    assert [f"HTTP Error {status}" in record.getMessage() for record in caplog.records] == [True]
    assert "the key" not in caplog.text


def test_a_receiver_that_does_not_answer_holds_no_run_up(storage, study, receiver, caplog, monkeypatch):
    monkeypatch.setattr(sender, "PATIENCE", 0.05)
    receiver.go_on.clear()
    with storage_context(openlineage_url=receiver.url):
        assert run(study, {"n": 3})["total"] == 3

    assert ["too slow" in record.getMessage() for record in caplog.records] == [True]


def test_a_file_that_cannot_be_written_costs_one_warning(storage, study, caplog, tmp_path):
    (tmp_path / "file").touch()
    with storage_context(openlineage_file=tmp_path / "file" / "events.json"):
        assert run(study, {"n": 3})["total"] == 3

    assert ["FileExistsError" in record.getMessage() for record in caplog.records] == [True]


def test_events_that_come_faster_than_they_are_sent_are_lost_and_never_wait(caplog):
    began, go_on, sent = threading.Event(), threading.Event(), []

    class Slow:
        def send(self, event):
            began.set()
            go_on.wait(60)
            sent.append(event["n"])

    slow = Sender([Slow()], most=2)
    slow.put(lambda: {"n": 0})
    began.wait(60)
    for n in range(1, 10):
        slow.put(lambda n=n: {"n": n})
    go_on.set()
    slow.end()

    assert sent == [0, 1, 2]
    assert ["events are lost" in record.getMessage() for record in caplog.records] == [True]


def test_hostile_names_and_texts_stay_within_their_json(storage, tmp_path, events_in):
    hostile = '\n{"eventType": "FAIL"}\u2028\x1b[31m' + "x" * 10_000_000

    @function(name="step")
    @with_storage
    def step(n: int) -> int:
        raise ValueError(hostile)

    @workflow
    def flow(wf):
        return wf.call("step", {"n": 1})

    with storage_context(openlineage_file=tmp_path / "events.json"), pytest.raises(ValueError, match="x"):
        run(flow)
    lines = (tmp_path / "events.json").read_bytes().splitlines()

    assert len(lines) == len(events_in(tmp_path / "events.json")) == 4
    assert max(map(len, lines)) < 1_000_000


@pytest.mark.parametrize(
    "url",
    ["marquez:5000", "ftp://host/", "http://", "http://user:word@host", "http://host:x", "http://a b/", "file:///x"],
)
def test_a_url_that_is_none_is_refused_and_not_repeated(storage, study, url):
    with pytest.raises(SettingsError, match="openlineage_url") as refused, storage_context(openlineage_url=url):
        run(study, {"n": 1})
    assert "word" not in str(refused.value)


def test_identifiers_are_uuids_of_version_7_that_keep_apart_what_is_apart():
    keys = [ulid() for _ in range(1000)]
    found = [uuid.UUID(run_id(key)) for key in keys]

    assert {each.version for each in found} == {7}
    assert {each.variant for each in found} == {uuid.RFC_4122}
    assert len(set(found)) == 1000
    assert found == sorted(found)


def test_arrays_of_no_more_than_the_limit_are_told_without_a_dataset(storage, tmp_path, events_in):
    @function(name="small")
    @with_storage
    def small() -> np.ndarray:
        return np.arange(3)

    @workflow
    def flow(wf):
        return wf.call("small", {})

    with storage_context(openlineage_file=tmp_path / "events.json"):
        run(flow)

    assert {str(event["outputs"]) for event in events_in(tmp_path / "events.json")} == {"[]"}
