"""The embedded controller as a foreign client sees it: messages over a stream, functions in other processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import grpc
import psutil
import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import LocalController
from actorc.controller.protocol import value_codec

MiB = 1 << 20

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker need not import this module, and pytest with it


def double(x):
    return x * 2


def whoami():
    return os.getpid()


def meet(folder, others):
    """Return once as many calls as that run at the same time."""
    (folder / f"{os.getpid()}-{threading.get_ident()}").touch()
    while len(list(folder.iterdir())) < others:
        time.sleep(0.001)
    return os.getpid()


def test_a_function_runs_in_another_process(raw, controller):
    raw.add(whoami)
    pid = raw.call("whoami")

    assert pid not in {os.getpid(), controller.pid}


def test_results_go_from_call_to_call_as_references(raw):
    raw.add(double)
    raw.start("double", "1", x=[1])
    first = raw.result()
    raw.start("double", "2", x=first)
    second = raw.result()

    assert (raw.value(first), raw.value(second)) == ([1, 1], [1, 1, 1, 1])
    assert first.value.type == pb.Data.OBJECT_REF


def test_a_result_that_nobody_needs_is_gone(raw):
    raw.add(double)
    raw.start("double", "1", x=1)
    result = raw.result()
    raw.done("1")

    assert "is not held here any more" in raw.request(result.value.ref.id).error


def test_a_large_value_goes_there_and_back(raw):
    raw.add(double)

    assert raw.call("double", x=bytes(9 * MiB)) == bytes(18 * MiB)


def test_large_data_is_held_and_given_to_a_call(raw):
    raw.add(double)
    encoded = raw.data(bytes(MiB)).encoded
    raw.send(pb.FR_APPEND_DATA, append_data=pb.AppendData(object=encoded))

    assert raw.call("double", x=raw.result()) == bytes(2 * MiB)


def test_a_venv_has_one_process_and_another_venv_another(raw):
    for name, venv in (("a", "first"), ("b", "first"), ("c", "second")):
        raw.add(whoami, name=name, venv=venv)
    a, b, c = (raw.call(name, name) for name in "abc")

    assert a == b
    assert a != c


def test_replicas_run_at_the_same_time_in_processes_of_their_own(raw, tmp_path):
    raw.add(meet, replicas=3)
    for instance in "123":
        raw.start("meet", instance, folder=tmp_path, others=3)
    results = [raw.result() for _ in range(3)]

    assert len({raw.value(each) for each in results}) == 3


def test_functions_of_one_process_run_at_the_same_time(raw, tmp_path):
    raw.add(meet, name="a")
    raw.add(meet, name="b")
    raw.start("a", "1", folder=tmp_path, others=2)
    raw.start("b", "2", folder=tmp_path, others=2)
    results = [raw.result() for _ in range(2)]

    assert len({raw.value(each) for each in results}) == 1


def test_one_replica_runs_one_call_after_the_other(raw):
    running = []

    def busy():
        running.append(1)
        together = len(running)
        time.sleep(0.001)
        running.pop()
        return together

    raw.add(busy)
    for instance in range(20):
        raw.start("busy", str(instance))
    results = [raw.result() for _ in range(20)]

    assert {raw.value(each) for each in results} == {1}


@pytest.mark.thorough
def test_there_are_never_more_processes_than_allowed(connect, tmp_path):
    with LocalController(["app"], max_workers=2) as controller:
        session = connect(controller.address)
        session.register("app")
        for venv in "abcd":
            session.add(whoami, name=venv, venv=venv, replicas=5)
        for instance in range(20):
            session.start("abcd"[instance % 4], str(instance))
        pids = {session.value(result) for result in [session.result() for _ in range(20)]}

        assert len(pids) >= 4
        assert len(children(controller.pid)) <= 2


def test_the_traceback_of_an_error_shows_the_function_and_nothing_of_the_worker(raw):
    def fail(x):
        raise ValueError(f"no {x}")

    raw.add(fail, pickled=value_codec.dumps(fail))
    error = raw.call("fail", x=1)
    head, _, frames = error.partition("\n\n")

    assert head == "ValueError: no 1"
    assert frames.startswith("Traceback (most recent call last):\n")
    assert 'raise ValueError(f"no {x}")' in frames
    assert f"{Path(value_codec.__file__).parents[2]}{os.sep}" not in frames


@pytest.mark.parametrize("ending", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_a_function_raises_its_worker_lives_on(raw, ending):
    def leave():
        raise ending

    raw.add(leave)
    raw.add(whoami)
    before = raw.call("whoami")
    error = raw.call("leave")

    assert error.startswith(f"{type(ending).__name__}: ")
    assert raw.call("whoami") == before


def test_a_function_that_cannot_be_loaded_fails_its_calls_and_no_others(raw, tmp_path, monkeypatch):
    (tmp_path / "soon_gone.py").write_text("def f(): return 1")
    monkeypatch.syspath_prepend(tmp_path)
    import soon_gone

    raw.add(soon_gone.f, name="f")
    raw.add(whoami)
    before = raw.call("whoami")
    errors = [raw.call("f"), raw.call("f")]

    assert [error.partition(";")[0] for error in errors] == ["ModuleNotFoundError: No module named 'soon_gone'"] * 2
    assert "the worker of venv 'venv' could not load 'f'" in errors[0]
    assert raw.call("whoami") == before


def test_a_result_that_cannot_be_pickled_is_an_error(raw):
    raw.add(lambda: __import__("threading").Lock(), name="lock")
    error = raw.call("lock")

    assert error.startswith("TypeError: cannot pickle '_thread.lock' object")
    assert "could not send what 'lock' returned" in error


def test_a_generator_becomes_a_list(raw):
    def count(n):
        yield from range(n)

    raw.add(count)

    assert raw.call("count", n=3) == [0, 1, 2]


def test_results_are_json_where_that_was_asked_for(raw):
    raw.add(double, language=pb.LANGUAGE_JSON)
    raw.start("double", x="é")
    value = raw.request(raw.result().value.ref.id).value

    assert (value.language, value.data) == (pb.LANGUAGE_JSON, b'"\\u00e9\\u00e9"')


def test_a_worker_that_is_killed_fails_its_call_and_the_next_one_works(raw):
    raw.add(lambda: os.kill(os.getpid(), signal.SIGKILL), name="die")
    raw.add(whoami)
    before = raw.call("whoami")
    error = raw.call("die")
    after = raw.call("whoami")

    assert error == "the worker of venv 'venv' ended by signal 9 while it ran 'die'"
    assert after != before


def test_a_worker_that_leaves_fails_its_call(raw):
    raw.add(lambda: os._exit(3), name="leave")

    assert raw.call("leave") == "the worker of venv 'venv' ended with exit code 3 while it ran 'leave'"


def test_a_worker_that_dies_while_its_child_lives_is_noticed(raw):
    def leave_a_child():
        if not os.fork():
            time.sleep(60)
        os._exit(3)

    raw.add(leave_a_child)

    assert "ended with exit code 3" in raw.call("leave_a_child")


def test_a_function_that_is_registered_again_is_the_new_one(raw):
    raw.add(lambda: "old", name="f")
    old = raw.call("f")
    raw.add(lambda: "new", name="f")

    assert (old, raw.call("f")) == ("old", "new")


def test_functions_find_the_users_folder_and_modules_and_nothing_else_of_it(connect, tmp_path):
    (tmp_path / "helpers.py").write_text("def f(): import os; return os.getcwd()")
    (tmp_path / "queue.py").write_text("raise SystemExit('a stranger was imported')")

    def use():
        import helpers

        return helpers.f()

    with LocalController(["app"], cwd=tmp_path, path=[str(tmp_path)]) as controller:
        session = connect(controller.address)
        session.register("app")
        session.add(use)

        assert session.call("use") == str(tmp_path)


def test_lucas_is_there_for_functions_that_import_it(raw):
    def use():
        import lucas
        from lucas.workflow import Lambda

        return lucas.__name__, lucas.__spec__.name, Lambda.__module__

    raw.add(use)
    name, spec, module = raw.call("use")

    assert name == spec
    assert module.startswith(f"{name}.")


def test_what_functions_print_goes_to_standard_error(connect, capfd):
    with LocalController(["app"]) as controller:
        session = connect(controller.address)
        session.register("app")
        session.add(lambda: print("told"), name="tell")
        session.call("tell")

    assert capfd.readouterr() == ("", "told\n")


def test_an_id_that_is_not_served_is_refused(connect, controller):
    for app_id in ("", "other", "test", "testsx", "Tests"):
        session = connect(controller.address)
        told = session.register(app_id)
        with pytest.raises(grpc.RpcError) as caught:
            session.receive()

        assert "does not serve that application" in told
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_an_id_in_use_is_refused_until_its_session_has_ended(connect, controller):
    first, second = connect(controller.address), connect(controller.address)
    accepted, refused = first.register("tests.same"), second.register("tests.same")
    first.close()
    while connect(controller.address).register("tests.same"):
        pass

    assert accepted == ""
    assert "in use by another session" in refused


def test_a_session_that_does_not_begin_with_a_registration_is_refused(connect, controller):
    session = connect(controller.address)
    session.send(pb.FR_INVOKE, invoke=pb.Invoke(name="f"))
    told = session.receive().ack.error

    assert told == "a session begins with a registration"


def test_a_command_that_cannot_be_carried_out_ends_the_session_with_the_reason(raw):
    raw.send(pb.BK_RETURN_RESULT)
    with pytest.raises(grpc.RpcError) as caught:
        raw.receive()

    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "cannot carry out BK_RETURN_RESULT" in caught.value.details()


def children(pid):
    return psutil.Process(pid).children()
