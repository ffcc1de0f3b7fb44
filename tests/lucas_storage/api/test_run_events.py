"""The events of a run, from its records."""

from __future__ import annotations

import json

import pytest

from lucas_storage.records.ulid import ulid

from .conftest import BUCKET


def events(body):
    """Return name, id and data of each event in a stream."""
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            found.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return found


def run_record(status, **more):
    return {"workflow": "flow", "status": status, "started": 1000.0, "seconds": None, "steps": [], **more}


def step_record(key, started, seconds=None, state="succeeded"):
    return {"key": key, "function": "f", "started": started, "seconds": seconds, "state": state}


@pytest.fixture
def run_id(served):
    made = ulid()
    yield made
    for head in list(served.client.iter_objects(BUCKET, f"runs/{made}/")):
        served.client.delete_object(BUCKET, head["key"])


def test_a_run_that_ended_is_told_once(served, run_id):
    steps = [step_record("a", 1000.0, 5.0), step_record("b", 1005.0, 200.0)]
    served.record(f"runs/{run_id}/run.json", run_record("succeeded", seconds=205.0, steps=steps))
    told = events(served.ask(f"/runs/{run_id}/events")[1])

    assert [(name, data.get("key")) for name, _, data in told] == [("step", "a"), ("step", "b"), ("run", None)]
    assert told[-1][2]["status"] == "succeeded"
    assert [name for name, _, _ in events(served.ask(f"/runs/{run_id}/events?steps=false")[1])] == ["run"]


def test_who_has_the_last_event_of_a_run_gets_nothing_more(served, run_id):
    steps = [step_record("a", 1000.0, 5.0), step_record("b", 1005.0, 200.0)]
    served.record(f"runs/{run_id}/run.json", run_record("succeeded", seconds=205.0, steps=steps))
    told = events(served.ask(f"/runs/{run_id}/events")[1])

    assert served.ask(f"/runs/{run_id}/events", last_event_id=told[-1][1]) == (204, b"")
    again = events(served.ask(f"/runs/{run_id}/events", last_event_id=told[1][1])[1])
    assert [data.get("key") for _, _, data in again] == ["b", None]


@pytest.mark.parametrize("last", ["nan", "inf", "-1e999", "x", "\u00e9"])
def test_an_id_that_is_none_is_as_good_as_missing(served, run_id, last):
    served.record(f"runs/{run_id}/run.json", run_record("failed", steps=[step_record("a", 1000.0, 5.0)]))

    assert len(events(served.ask(f"/runs/{run_id}/events", last_event_id=last)[1])) == 2


def test_what_changes_of_a_run_under_way_is_told_until_its_end(served, run_id):
    """Each look finds what changed since the last one."""
    served.record(f"runs/{run_id}/run.json", run_record("running"))
    with served.stream(f"/runs/{run_id}/events") as stream:

        def look():
            return [(name, data.get("key", data.get("status"))) for name, _, data in events(stream.read1(1 << 20))]

        assert look() == [("run", "running")]

        served.record(f"runs/{run_id}/steps/{ulid()}.json", step_record("one", 1001.0, 2.0))
        assert look() == [("step", "one"), ("run", "running")]

        ended = run_record("succeeded", seconds=4.0, steps=[step_record("one", 1001.0, 2.0)])
        served.record(f"runs/{run_id}/run.json", ended)
        assert look() == [("run", "succeeded")]
        assert stream.read() == b""


def test_nobody_is_told_of_runs_that_he_may_not_read(served, run_id):
    served.record(f"runs/{run_id}/run.json", run_record("running"))

    assert served.ask(f"/runs/{run_id}/events", served.token("read,list:other-*"))[0] == 403
    assert served.ask(f"/runs/{ulid()}/events")[0] == 404
