"""Records of steps that run in the worker processes of the embedded controller."""

from __future__ import annotations

import os
import uuid

import lucas
import numpy as np
import pytest

from actorc.controller import ActorContext, ActorExecutor, ActorFunction
from actorc.controller.errors import RemoteFunctionError
from actorc.controller.local import LocalController
from actorc.storage.testing import local_server
from lucas_storage import Storage, run, storage_context, with_storage
from lucas_storage.records import distant_steps, record_store, run_history

pytestmark = pytest.mark.slow

SECRET = "hunter2-hunter2"
KEY = "a signing key for tests alone"


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """A controller whose workers have storage, and this process as a client of both; one for all tests."""
    cache = tmp_path_factory.mktemp("cache")
    with local_server() as server:
        env = {"STORAGE_ENDPOINT": server.endpoint, "LUCAS_STORAGE_CACHE": str(cache), "LUCAS_STORAGE_SIGNING_KEY": KEY}
        with LocalController(env=env) as controller:
            yield server.endpoint, cache, controller


@pytest.fixture
def storage(platform):
    endpoint, cache, controller = platform
    with storage_context(endpoint=endpoint, cache_dir=cache, signing_key=KEY), Storage() as handle:
        # An id for each test: the controller may be about to end the session of the test before.
        context = ActorContext.createContext(controller.address, f"{controller.app_id}.{uuid.uuid4().hex[:8]}")
        yield handle
        context.close()


def step(body):
    """Register a step that runs on the platform."""
    return lucas.function(wrapper=ActorFunction, provider="actor", venv="tests")(with_storage(body))


def flow_of(body):
    return lucas.workflow(executor=ActorExecutor)(body)


def last(storage):
    """Return the last run, once its workers have told of all its steps: on a slow machine some do so after its end."""
    past = run_history.find(storage, "last")
    while any(each.version is None for each in past.steps):
        past = run_history.find(storage, "last")
    return past


@pytest.fixture
def steps():
    @step
    def make(n):
        return np.arange(n)

    @step
    def total(x: np.ndarray, password):
        return int(x.sum()) + len(password)

    @step
    def process():
        return os.getpid()

    @step
    def fail(x: np.ndarray):
        raise ValueError(f"no {x.shape}")

    @step
    def end(x):
        os._exit(1)

    return ("make", "total", "process", "fail", "end")


@flow_of
def summed(wf):
    return wf.call("total", {"x": wf.call("make", {"n": wf.input()["n"]}), "password": SECRET})


@flow_of
def failing(wf):
    return wf.call("fail", {"x": wf.call("make", {"n": 10_000})})


def test_steps_on_workers_are_recorded_as_those_in_this_process_are(storage, steps):
    assert run(summed, {"n": 10_000}) == 49_995_000 + len(SECRET)
    past = last(storage)
    make, total = past.steps

    assert [each.function for each in past.steps] == ["make", "total"]
    assert [each.state for each in past.steps] == ["succeeded", "succeeded"]
    assert total.after == (make.key,)
    assert past.after == (total.key,)
    assert make.outputs == total.inputs["x"]
    assert make.given == {"n": 10_000}
    assert (total.given, total.withheld) == ({"x": make.outputs[0].ref}, ("password",))
    assert make.machine == past.machine
    assert "np.arange(n)" in make.source.load()
    assert make.shipped.load()(n=1) is not None
    assert all(each.version.startswith("reached:") for each in past.steps)


@pytest.mark.parametrize("limits", [{}, {"timeout": 60}], ids=["in the worker", "in a process of its own"])
def test_steps_that_a_step_on_a_worker_calls_are_recorded_with_it(storage, limits):
    @with_storage
    def part(n):
        return n + 1

    def body(n):
        return [part(each) for each in range(n)]

    body.__name__ = body.__qualname__ = "several"
    lucas.function(wrapper=ActorFunction, provider="actor", venv="tests")(with_storage(**limits)(body))

    @flow_of
    def flow(wf):
        return wf.call("several", {"n": 2})

    assert run(flow, {}) == [1, 2]
    outer, *called = last(storage).steps

    assert (outer.function, [each.function for each in called]) == ("several", ["part", "part"])
    assert [(each.after, each.given, each.returned) for each in called] == [
        ((outer.key,), {"n": 0}, 1),
        ((outer.key,), {"n": 1}, 2),
    ]


def test_references_that_a_worker_makes_name_the_run(storage, steps):
    @flow_of
    def flow(wf):
        return wf.call("make", {"n": 10_000})

    ref = run(flow, {}, materialize=False)

    assert ref.run == last(storage).key


def test_no_secret_of_a_step_on_a_worker_is_recorded(storage, steps):
    with storage_context(resume=False):
        run(summed, {"n": 10_000})
    runs = storage.iter_objects(storage.bucket, f"runs/{last(storage).key}/")

    assert all(SECRET.encode() not in storage.get_object(storage.bucket, each["key"]) for each in runs)


def test_an_error_on_a_worker_is_recorded_as_it_was_there(storage, steps):
    with pytest.raises(RemoteFunctionError):
        run(failing, {})
    past = last(storage)
    failed = past.steps[-1]

    assert (past.status, past.error) == ("failed", "RemoteFunctionError")
    assert (failed.state, failed.error, failed.message) == ("failed", "ValueError", "no (10000,)")
    assert 'raise ValueError(f"no {x.shape}")' in failed.traceback


def test_the_setting_of_the_one_who_runs_holds_on_workers(storage, steps):
    with storage_context(record_values="none"), pytest.raises(RemoteFunctionError):
        run(failing, {})
    failed = last(storage).steps[-1]

    assert (failed.error, failed.message, failed.traceback, failed.given) == ("ValueError", None, None, None)


def test_each_run_has_its_own_steps_though_functions_are_sent_once(storage, steps):
    keys = []
    for n in (10, 20, 30):
        run(summed, {"n": n})
        past = last(storage)
        keys += [each.key for each in past.steps]

        assert past.steps[0].given == {"n": n}

    assert len(set(keys)) == 6


def test_a_step_whose_worker_ends_is_recorded_as_failed(storage, steps):
    @flow_of
    def flow(wf):
        return wf.call("end", {"x": 1})

    with pytest.raises(RemoteFunctionError):
        run(flow, {})
    (ended,) = run_history.find(storage, "last").steps

    assert (ended.state, ended.error) == ("failed", "RemoteFunctionError")


def test_a_step_without_parameters_is_recorded(storage, steps):
    @flow_of
    def flow(wf):
        return wf.call("process", {})

    assert run(flow, {}) != os.getpid()
    assert [(each.function, each.given) for each in last(storage).steps] == [("process", {})]


def test_a_call_outside_of_any_run_leaves_no_record(storage, steps):
    before = len(list(storage.iter_objects(storage.bucket, "runs/")))

    assert summed.export()({"n": 10}) == 45 + len(SECRET)
    assert len(list(storage.iter_objects(storage.bucket, "runs/"))) == before


def test_a_record_that_comes_late_is_found_by_the_reader(storage, steps, monkeypatch):
    monkeypatch.setattr(distant_steps, "_ATTEMPTS", 0)
    run(summed, {"n": 10_000})
    past = last(storage)
    # The workers write theirs some milliseconds later.
    while not (past.steps[0].outputs and past.steps[1].inputs):
        past = last(storage)
    listed = run_history.recent(storage, 1)[0].steps

    assert [each.given is None for each in listed] == [True, True]
    assert past.steps[0].outputs[0].ref is not None
    assert past.steps[1].after == (past.steps[0].key,)


def test_a_run_that_was_killed_shows_what_its_workers_told(storage, steps):
    run(summed, {"n": 10_000})
    past = last(storage)
    key = f"runs/{past.key}/run.json"
    record_store.write(storage, key, {"run": 1, "workflow": "summed", "status": "running", "started": 1.0, "beat": 1.0})
    again = last(storage)

    assert [each.key for each in again.steps] == [each.key for each in past.steps]
    assert [each.given for each in again.steps] == [each.given for each in past.steps]
    assert again.steps[1].after == past.steps[1].after
