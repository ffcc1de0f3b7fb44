"""Workflows on the platform: references between the steps, values for plain code and for the caller."""

from __future__ import annotations

import os
import threading
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lucas
import pytest

from actorc.controller import ActorContext, ActorExecutor, ActorFunction, ActorRuntime
from actorc.controller.client.calls import Calls
from actorc.controller.client.session import message_size
from actorc.controller.errors import ControllerError, ParameterError, RemoteFunctionError, UnknownFunctionError
from actorc.controller.local import LocalController
from actorc.storage.testing import local_server
from lucas_storage import run, storage_context, with_storage

SECONDS = 30


@pytest.fixture
def functions(actor):
    """Some functions on the platform."""

    @actor
    def add(a, b=10):
        return a + b

    @actor
    def pair(a):
        return {"one": a, "two": [2 * a, None]}

    @actor
    def total(numbers):
        return sum(numbers)

    @actor
    def fail(a):
        raise ValueError("on purpose")

    @actor
    def seen(params):
        return params


def workflow(body):
    return lucas.workflow(executor=ActorExecutor)(body)


@workflow
def chain(wf):
    return wf.call("add", {"a": wf.call("add", {"a": wf.input()["a"]}), "b": 1})


def test_results_pass_from_step_to_step(functions, storage):
    assert [chain.export()({"a": 1}), run(chain, {"a": 2})] == [12, 13]


def test_a_result_that_only_steps_see_never_comes_here(functions, monkeypatch):
    fetched = []
    monkeypatch.setattr(
        "actorc.controller.client.calls.decoded", lambda encoded: fetched.append(encoded) or real(encoded)
    )

    assert chain.export()({"a": 1}) == 12
    assert len(fetched) == 1


def real(encoded):
    from actorc.controller.protocol.value_codec import decoded

    return decoded(encoded)


def test_plain_code_sees_values(functions):
    @workflow
    def plain(wf):
        made = wf.call("pair", {"a": wf.input()["a"]})
        doubled = wf.func(lambda value: value["one"] * 2, made)
        return wf.call("add", {"a": doubled, "b": made["two"][0] + 100})

    assert plain.export()({"a": 3}) == 6 + 106


def test_values_in_containers_are_fetched_for_whoever_takes_them(functions):
    @workflow
    def gathered(wf):
        parts = [wf.call("add", {"a": n}) for n in range(3)]
        return [wf.call("total", {"numbers": parts}), {"parts": tuple(parts)}]

    assert gathered.export()({}) == [33, {"parts": (10, 11, 12)}]


def test_a_bundle_holds_values(functions):
    @workflow
    def bundled(wf):
        return wf.call("seen", {"made": wf.call("add", {"a": 1}), "given": wf.input()["x"]})

    assert bundled.export()({"x": None}) == {"made": 11, "given": None}


def test_a_list_fans_out(functions):
    @workflow
    def fan(wf):
        return wf.call("total", {"numbers": wf.input()["n"].map(lambda n: wf.call("add", {"a": n}))})

    assert fan.export()({"n": list(range(100))}) == sum(range(100)) + 1000


def test_calls_that_wait_for_each_other_run_at_the_same_time(actor, tmp_path):
    # Each of them ends only after all have begun.
    @actor(replicas=4, venv="meeting")
    def meet(folder, name, expected):
        import time

        (Path(folder) / name).touch()
        while len(list(Path(folder).iterdir())) < expected:
            time.sleep(0.001)
        return os.getpid()

    @workflow
    def meeting(wf):
        folder = wf.input()["folder"]
        return [wf.call("meet", {"folder": folder, "name": name, "expected": 4}) for name in "abcd"]

    pids = meeting.export()({"folder": str(tmp_path)})

    assert len(set(pids)) == 4


def test_runs_are_independent(functions):
    exported = chain.export()

    assert [exported({"a": a}) for a in (1, 2, 1)] == [12, 13, 12]


def test_ten_runs_at_once_give_their_own_answers(functions, storage):
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda a: run(chain, {"a": a}), range(10), timeout=SECONDS))

    assert results == [a + 11 for a in range(10)]


def test_an_error_on_the_platform_shows_the_frames_of_the_caller_alone(functions, storage):
    failing = workflow(lambda wf: wf.call("fail", {"a": wf.call("add", {"a": 1})}))
    for call in (lambda: run(failing), lambda: failing.export()({})):
        with pytest.raises(RemoteFunctionError, match=r"raise ValueError..on purpose") as caught:
            call()

        assert {frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)} == {__file__}


def test_a_run_after_one_that_failed_is_right(functions):
    @workflow
    def sometimes(wf):
        a = wf.input()["a"]
        return wf.call("add", {"a": wf.func(lambda value: wf.call("fail" if value < 0 else "add", {"a": value}), a)})

    exported = sometimes.export()
    before = exported({"a": 1})
    with pytest.raises(RemoteFunctionError, match="'fail' raised ValueError on its worker, on purpose"):
        exported({"a": -1})

    assert [before, exported({"a": 2})] == [21, 22]


def test_parameters_are_checked_by_the_run(functions):
    @workflow
    def wrong(wf):
        return wf.call("add", {"aa": 1})

    with pytest.raises(ParameterError, match="'add' did not get 'a'"):
        wrong.export()({})


def test_a_function_nobody_registered_is_named(functions):
    @workflow
    def unknown(wf):
        return wf.call("ad", {"a": 1})

    with pytest.raises(UnknownFunctionError, match="did you mean 'add'"):
        unknown.export()({})


def test_the_results_of_a_run_are_given_up_at_its_end(functions, own_context):
    released = []
    chain.export()({"a": 1})
    session = own_context._connection.session()
    session.release = lambda call, release=session.release: released.append(call) or release(call)

    chain.export()({"a": 1})
    with pytest.raises(RemoteFunctionError):
        workflow(lambda wf: wf.call("fail", {"a": wf.call("add", {"a": 1})})).export()({})

    assert [call.function for call in released] == ["add", "add", "add", "fail"]
    assert (session._dispatch.close(), session._fetches.close()) == ([], [])
    assert session._deadlines.next() is None


def test_a_run_that_is_over_starts_nothing(functions):
    from actorc.controller.lucas.functions import named

    with Calls() as calls:
        calls.call(named("add"), {"a": 1})

    with pytest.raises(ControllerError, match="the run that called 'add' is over"):
        calls.call(named("add"), {"a": 1})


def test_a_run_by_hand_with_a_runtime(functions):
    from lucas.serverless_function import Metadata

    chain.set_runtime(ActorRuntime(Metadata("1", {"a": 5}, None, {}, "invoke", None, None)))

    assert chain.generate().execute() == 16


def test_a_runtime_calls_and_tells(functions):
    from lucas.serverless_function import Metadata

    metadata = Metadata("1", {"a": 5}, None, {}, "invoke", None, None)
    runtime = ActorRuntime(metadata)

    assert (runtime.input(), runtime.output(1), runtime.metadata()) == ({"a": 5}, 1, metadata)
    assert runtime.call("add", {"a": 1, "b": 2}) == 3
    assert runtime.tell("add", {"a": 1}).result(SECONDS) == 11
    with pytest.raises(RemoteFunctionError):
        runtime.tell("fail", {"a": 1}).result(SECONDS)


def test_the_engines_own_executor_gets_values(functions, storage):
    @lucas.workflow
    def stock(wf):
        return wf.call("add", {"a": wf.call("add", {"a": 1})})

    assert [stock.export()({}), run(stock)] == [21, 21]


def test_nothing_is_printed_or_written(functions, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = f"a value {uuid.uuid4()}"

    @workflow
    def quiet(wf):
        return wf.call("seen", {"value": wf.func(lambda text: text, wf.input()["text"])})

    quiet.export()({"text": value})

    assert value not in "".join(capfd.readouterr())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def stored(tmp_path):
    """A controller whose workers have storage, and this process as a client of both."""
    with (
        local_server() as server,
        LocalController(env={"STORAGE_ENDPOINT": server.endpoint, "LUCAS_STORAGE_CACHE": str(tmp_path)}) as controller,
        storage_context(endpoint=server.endpoint, cache_dir=tmp_path),
    ):
        context = ActorContext.createContext(controller.address, controller.app_id)
        yield server
        context.close()


@pytest.mark.slow
def test_steps_exchange_references_to_what_is_big(stored, monkeypatch):
    @lucas.function(wrapper=ActorFunction, provider="actor")
    @with_storage
    def make(n):
        return b"x" * n

    @lucas.function(wrapper=ActorFunction, provider="actor")
    @with_storage
    def measure(data: bytes):
        return len(data)

    @workflow
    def big(wf):
        made = wf.call("make", {"n": wf.input()["n"]})
        extended = wf.func(lambda data: data + b"!", made)
        return [wf.call("measure", {"data": made}), wf.call("measure", {"data": extended}), wf.func(len, made), made]

    monkeypatch.setattr(message_size, "MAX_MESSAGE_SIZE", 64 << 10)
    n = 1 << 20

    assert run(big, {"n": n}) == [n, n + 1, n, b"x" * n]


def test_a_run_leaves_no_threads(functions):
    chain.export()({"a": 1})
    before = threading.active_count()

    for _ in range(5):
        chain.export()({"a": 1})

    assert threading.active_count() <= before
