"""What a run leaves behind: steps, references, sizes and times."""

from __future__ import annotations

import io
import logging
import os
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest

from actorc.storage.testing import local_server
from lucas_storage import ArtifactRef, run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import InvalidParameterError, NotFoundError
from lucas_storage.records import record_store, record_text, run_history, run_record
from lucas_storage.records.step_note import mentioned
from lucas_storage.records.ulid import ulid
from lucas_storage.refs import inline_ref

pytestmark = pytest.mark.usefixtures("empty_registry")

SECRET = "hunter2-hunter2"


class Model:
    """A class that no format but pickle holds."""


def step(body):
    return function(name=body.__name__)(with_storage(body))


@pytest.fixture
def study():
    """A workflow of two steps: an array, and its sum."""

    @step
    def make(n):
        return np.arange(n)

    @step
    def total(x: np.ndarray, note: str):
        return int(x.sum())

    @workflow
    def study(wf):
        return wf.call("total", {"x": wf.call("make", {"n": wf.input()["n"]}), "note": wf.input()["note"]})

    return study


def last(storage):
    return run_history.find(storage, "last")


def test_a_run_is_recorded_with_its_steps(storage, study):
    run(study, {"n": 10_000, "note": SECRET})
    past = last(storage)
    make, total = past.steps
    (array,) = make.outputs

    assert (past.workflow, past.status, past.error, past.parallel) == ("study", "succeeded", None, 1)
    assert [make.function, total.function] == ["make", "total"]
    assert (array.format, array.size) == ("npy@1", 80_128)
    assert total.inputs["x"] == make.outputs
    assert (make.inputs, total.outputs, past.inputs) == ({"n": ()}, (), {"n": (), "note": ()})
    assert 0 < make.seconds + total.seconds <= past.seconds
    assert past.started <= make.started <= total.started


def test_no_value_is_recorded_where_a_setting_forbids_it(storage, study):
    with storage_context(record_values="none"):
        run(study, {"n": 10, "note": SECRET})
    texts = [storage.get_object(storage.bucket, one["key"]) for one in storage.iter_objects(storage.bucket, "runs/")]

    assert texts
    assert all(SECRET.encode() not in text and b"lucas:inline" not in text for text in texts)
    assert last(storage).steps[0].outputs[0].ref is None


def test_references_name_the_run_that_made_them(storage, study):
    @step
    def make_more(n):
        return {"one": np.arange(n), "text": "x" * 100_000}

    @workflow
    def flow(wf):
        return wf.call("make_more", {"n": wf.input()["n"]})

    ref = run(flow, {"n": 10_000}, materialize=False)

    assert ref.run == last(storage).key
    assert storage.put(np.arange(10_000)).run is None
    assert b"&r=" not in storage.get_object(ref.bucket, ref.key)


def test_equal_bytes_of_two_runs_are_equal(storage):
    @step
    def make(n):
        return np.arange(n)

    @workflow
    def flow(wf):
        return wf.call("make", {"n": wf.input()["n"]})

    one, other = (run(flow, {"n": 10_000}, materialize=False) for _ in range(2))

    assert (one == other, one.run == other.run) == (True, False)


def test_a_failure_is_recorded_by_the_name_of_its_class(storage):
    class OddError(Exception):
        pass

    @step
    def fail(x):
        raise OddError(SECRET)

    @workflow
    def flow(wf):
        return wf.call("fail", {"x": wf.input()["x"]})

    with pytest.raises(OddError):
        run(flow, {"x": 1})
    past = last(storage)

    assert (past.status, past.error, [one.error for one in past.steps]) == ("failed", "OddError", ["OddError"])


def test_steps_that_ran_together_are_counted(storage):
    both = threading.Barrier(2)

    @step
    def meet(x):
        both.wait(timeout=30)
        return x

    @workflow
    def flow(wf):
        return wf.func(
            lambda a, b: [a, b], wf.call("meet", {"x": wf.input()["a"]}), wf.call("meet", {"x": wf.input()["b"]})
        )

    assert run(flow, {"a": 1, "b": 2}) == [1, 2]
    assert last(storage).parallel == 2


def test_a_step_that_was_reused_says_so(storage, study):
    run(study, {"n": 10, "note": ""})
    with storage_context(resume=True):
        run(study, {"n": 10, "note": "other"})

    assert [one.reused for one in last(storage).steps] == [True, False]


def test_a_run_that_never_ended_is_read_from_its_steps(storage, study, monkeypatch):
    monkeypatch.setattr(run_record, "WHOLE_MAX", 0)
    run(study, {"n": 10_000, "note": ""})
    past = last(storage)
    key = f"runs/{past.key}/run.json"
    text = storage.get_object(storage.bucket, key)
    storage.put_object(storage.bucket, key, text.replace(b'"succeeded"', b'"running"'))

    again = last(storage)

    assert (again.status, again.steps) == ("running", past.steps)


def test_runs_are_listed_with_the_latest_first(storage, study):
    for n in (1, 2, 3):
        run(study, {"n": n, "note": ""})
    found = run_history.recent(storage, 2)

    assert [past.key for past in found] == sorted((past.key for past in found), reverse=True)
    assert (len(found), found[0]) == (2, last(storage))


def test_a_run_is_found_by_the_beginning_of_its_id(storage, study):
    run(study, {"n": 1, "note": ""})
    run(study, {"n": 1, "note": ""})
    key = last(storage).key

    assert run_history.find(storage, key.lower()) == last(storage)
    with pytest.raises(InvalidParameterError, match="2 runs begin with '0'"):
        run_history.find(storage, "0")
    with pytest.raises(NotFoundError, match="there is no run 'Z'"):
        run_history.find(storage, "Z")


def test_a_record_tells_where_a_run_took_place_and_what_its_steps_were(storage, study):
    run(study, {"n": 10, "note": ""})
    past = last(storage)

    assert (past.machine, past.python) == (platform.node(), platform.python_version())
    assert past.packages["numpy"] == np.__version__
    assert [(one.state, one.machine) for one in past.steps] == [("succeeded", platform.node())] * 2
    assert all(one.version.startswith("reached:") for one in past.steps)


def test_a_function_with_a_version_of_its_own_is_recorded_with_it(storage):
    @function
    @with_storage(version="3")
    def make(n):
        return n

    @workflow
    def flow(wf):
        return wf.call("make", {"n": wf.input()["n"]})

    run(flow, {"n": 1})

    assert last(storage).steps[0].version == "version:3"


def test_a_record_of_an_early_version_has_none_of_the_later_fields(storage):
    key = ulid()
    step = {"step": 1, "function": "f", "started": 1.0, "seconds": 2.0, "reused": False, "error": "KeyError"}
    record_store.write(
        storage,
        f"runs/{key}/run.json",
        {"run": 1, "workflow": "w", "status": "failed", "steps": [step, step | {"error": None, "reused": True}]},
    )
    failed, reused = last(storage).steps

    assert (last(storage).packages, last(storage).parameters, last(storage).machine) == ({}, None, None)
    assert (failed.state, reused.state) == ("failed", "reused")
    assert (failed.version, failed.source, failed.shipped, failed.given, failed.attempts) == (
        None,
        None,
        None,
        None,
        (),
    )


@pytest.mark.parametrize("odd", [None, 3, "text", [7], {"$artifact": 1}, {"x": {"y": [None]}}])
def test_fields_that_are_not_as_expected_are_left_out(storage, odd):
    names = [
        "state",
        "version",
        "source",
        "shipped",
        "given",
        "withheld",
        "message",
        "traceback",
        "attempts",
        "machine",
        "python",
        "packages",
        "parameters",
        "in",
        "out",
        "after",
        "seconds",
        "started",
        "reused",
        "error",
        "key",
        "function",
    ]
    key = ulid()
    content = dict.fromkeys(names, odd)
    record_store.write(storage, f"runs/{key}/run.json", {"status": "failed", "steps": [content], **content})
    past = last(storage)
    (step,) = past.steps

    assert all(isinstance(each, str) for each in (*past.packages, *past.packages.values(), *step.withheld))
    assert step.source is step.shipped is None
    assert (step.state, step.attempts == ()) == ("failed" if odd is not None else "succeeded", odd != [{}])
    assert (step.given is None) == (not isinstance(odd, dict))


def test_there_may_be_no_runs_at_all(storage):
    assert run_history.recent(storage, 10) == []
    with pytest.raises(NotFoundError):
        run_history.find(storage, "last")


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b"{}", b'{"steps": 3, "in": [], "out": {}, "started": "x", "seconds": []}']
)
def test_what_is_no_record_is_shown_as_far_as_it_goes(storage, study, text):
    run(study, {"n": 1, "note": ""})
    storage.put_object(storage.bucket, f"runs/{last(storage).key}/run.json", text)

    assert last(storage).workflow == "?"


@pytest.mark.slow
def test_a_run_goes_on_where_no_record_can_be_written(study, tmp_path, caplog):
    with local_server(auto_create_buckets=False) as server:
        endpoint = server.endpoint
    # Nobody listens there any more.
    with storage_context(endpoint=endpoint, cache_dir=tmp_path), caplog.at_level(logging.WARNING, "lucas_storage"):
        assert run(study, {"n": 10, "note": SECRET}) == 45

    assert caplog.text.count("records of this run are not written because of NetworkError") == 1
    assert SECRET not in caplog.text


def test_a_run_goes_on_where_the_settings_are_wrong(study, caplog):
    with storage_context(endpoint="a:1"), caplog.at_level(logging.WARNING), storage_context(store="nowhere"):
        assert run(study, {"n": 10, "note": ""}) == 45

    assert caplog.text.count("records of this run are not written because of UnknownStoreError") == 1


def test_steps_outside_a_run_leave_nothing(storage):
    @with_storage
    def make(n):
        return np.arange(n)

    ref = ArtifactRef.parse(make(n=10_000))

    assert ref.run is None
    assert [one["key"] for one in storage.iter_objects(storage.bucket)] == [ref.key]


def test_what_is_mentioned_is_found_at_any_depth(storage):
    ref, small = storage.put(b"x" * 100), inline_ref("bytes@1", b"secret")

    assert mentioned({"a": [ref.to_json(), 1, {"b": (small,)}], "c": "text"}) == [ref, {"inline": "bytes@1", "size": 6}]
    assert len(mentioned([ref] * 5000)) == 1000


SCRIPT = """
from lucas import Workflow, function, workflow
from lucas_storage import run, with_storage

@function
@with_storage
def prepare(n):
    print("from the step")
    return list(range(n))

@function
@with_storage
def square(x):
    return x * x

@workflow
def flow(wf: Workflow):
    return wf.call("prepare", {"n": wf.input()["n"]}).map(lambda x: wf.call("square", {"x": x}))

print(run(flow, {"n": 3}))
"""


def shown(given, folder, **more):
    """Run the script with a terminal for its errors, and return what it printed, and what the terminal showed."""
    (folder / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "STORAGE_ENDPOINT": given["endpoint"], "TERM": "xterm", "COLUMNS": "100", **more}
    screen, terminal = os.openpty()
    seen = io.BytesIO()

    def read():
        try:
            while data := os.read(screen, 1024):
                seen.write(data)
        except OSError:  # the last writer closed it
            return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        command = [sys.executable, "-m", "lucas_storage.cli", "run", "script.py"]
        ran = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=terminal, check=True, timeout=60
        )
    finally:
        os.close(terminal)
        reader.join()
        os.close(screen)
    return ran.stdout.decode(), seen.getvalue().decode()


@pytest.mark.slow
def test_a_terminal_shows_how_far_the_steps_are(settings, tmp_path):
    printed, screen = shown(settings, tmp_path)

    assert printed == "from the step\n[0, 1, 4]\n"
    assert "prepare" in screen
    assert "1/1" in screen
    assert "square" in screen
    assert "3/3" in screen


@pytest.mark.thorough
@pytest.mark.slow
def test_a_terminal_shows_nothing_where_that_is_wished(settings, tmp_path):
    printed, screen = shown(settings, tmp_path, LUCAS_STORAGE_PROGRESS="0")

    assert (printed, screen) == ("from the step\n[0, 1, 4]\n", "")


def test_without_a_terminal_nothing_is_shown(settings, study, capfd):
    run(study, {"n": 10, "note": ""})

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"a": 1, "x": [None, 2.5, "é\ud7ff"], "y": {"z": '{"$'}},
        {"in": {"$artifact": [1]}, "out": {"$set": {"$tuple": "lucas:"}}},
    ],
)
def test_facts_are_encoded_as_the_format_encodes_them(facts):
    ref = inline_ref("bytes@1", b"x")
    text = record_text.encode_facts({**facts, "refs": [ref]}, {"more": b"[1]"})

    assert record_text.decode(text) == {**facts, "refs": [ref], "more": [1]}
    assert record_text.decode(record_text.encode_facts(facts, {})) == facts


def test_the_record_of_a_run_has_each_function_once(storage):
    @step
    def same(x):
        return x

    @workflow
    def flow(wf):
        x = wf.input()["x"]
        for _ in range(20):
            x = wf.call("same", {"x": x})
        return x

    run(flow, {"x": 1})
    past = last(storage)
    text = storage.get_object(storage.bucket, f"runs/{past.key}/run.json")

    assert len({(each.version, each.source, each.shipped) for each in past.steps}) == 1
    assert past.steps[0].shipped.load()(x=2) == 2
    assert text.count(past.steps[0].version.encode()) == text.count(b"pickle5%401") == 1
