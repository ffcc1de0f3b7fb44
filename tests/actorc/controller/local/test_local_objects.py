"""Objects at the embedded controller: instances of classes, which keep what they know from call to call."""

from __future__ import annotations

import os
import signal
import sys
import threading

import cloudpickle
import psutil
import pytest

from actorc.controller.local import LocalController

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker need not import this module, and pytest with it


class Counter:
    def __init__(self):
        self.count = 0

    def add(self, n):
        self.count += len(n) if isinstance(n, bytes) else n
        return self.count

    def where(self):
        return os.getpid()

    def fail(self):
        raise ValueError("on purpose")

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)


def whoami():
    return os.getpid()


def test_an_object_keeps_what_it_knows_from_call_to_call(raw):
    raw.add_object(Counter(), "one")

    assert [raw.call_method("one", "Counter.add", n=n) for n in (1, 2, 3)] == [1, 3, 6]


def test_objects_of_a_class_know_nothing_of_each_other(raw):
    raw.add_object(Counter(), "one")
    raw.add_object(Counter(), "two")
    raw.call_method("one", "Counter.add", n=5)

    assert raw.call_method("two", "Counter.add", n=1) == 1


def test_a_result_of_a_method_is_an_argument_of_a_function_and_of_a_method(raw):
    raw.add_object(Counter(), "one")
    raw.add(lambda x: x * 10, name="tenfold")
    raw.start_method("one", "Counter.add", n=2)
    made = raw.result()
    raw.start("tenfold", x=made)
    tenfold = raw.result()

    assert raw.call_method("one", "Counter.add", n=tenfold) == 22


def test_a_large_argument_of_a_method_arrives(raw):
    raw.add_object(Counter(), "one")

    assert raw.call_method("one", "Counter.add", n=bytes(1 << 20)) == 1 << 20


def test_calls_of_one_object_run_one_after_the_other_in_their_order(raw):
    class Busy:
        def __init__(self):
            self.seen = []

        def a(self, n):
            self.seen.append(threading.get_ident())
            self.seen.append(n)
            return self.seen[1::2] if len(set(self.seen[-2:-1])) == 1 else "mixed"

        def b(self, n):
            return self.a(n)

    raw.add_object(Busy(), "busy")
    for n in range(10):
        raw.start_method("busy", f"Busy.{'ab'[n % 2]}", session=str(n), n=n)
    results = [raw.result() for _ in range(10)]

    assert raw.value(results[-1]) == list(range(10))


def test_an_object_lives_apart_from_functions_and_from_other_objects(fresh):
    fresh.add(whoami)
    fresh.add_object(Counter(), "one")
    fresh.add_object(Counter(), "two")
    methods = [fresh.call_method(name, "Counter.where") for name in ("one", "two")]
    pids = {fresh.call("whoami"), *methods}

    assert len(pids) == 3


@pytest.mark.thorough
def test_where_there_is_no_room_objects_share_a_process_and_functions_keep_theirs(connect):
    with LocalController(["app"], max_workers=2) as controller:
        session = connect(controller.address)
        session.register("app")
        session.add(whoami)
        for name in "abc":
            session.add_object(Counter(), name)
        pids = {session.call_method(name, "Counter.where") for name in "abc"}
        function = session.call("whoami")
        counts = [session.call_method(name, "Counter.add", n=n) for n, name in enumerate("abc", 1)]

    assert len(pids) == 1
    assert function not in pids
    assert counts == [1, 2, 3]


def test_where_objects_have_taken_all_processes_a_function_is_told_so_until_their_session_ends(connect):
    with LocalController(["app"], max_workers=1) as controller:
        first, second = connect(controller.address), connect(controller.address)
        for name, session in (("app.first", first), ("app.second", second)):
            session.register(name)
            session.add(whoami)
        first.add_object(Counter(), "one")
        process = psutil.Process(first.call_method("one", "Counter.where"))
        for session in (first, second):
            assert "'whoami' finds no worker process, as objects live in all 1 that" in session.call("whoami")
        assert first.call_method("one", "Counter.add", n=1) == 1
        first.close()

        assert process.wait(60) is None
        assert second.call("whoami") != process.pid


def test_an_object_whose_process_died_is_gone_and_says_so(raw):
    raw.add_object(Counter(), "one")
    raw.add_object(Counter(), "two")
    raw.call_method("two", "Counter.add", n=1)
    died = raw.call_method("one", "Counter.die")
    error = raw.call_method("one", "Counter.add", n=1)
    raw.add_object(Counter(), "one")

    assert died == "the worker of venv 'venv' ended by signal 9 while it ran 'Counter.die'"
    assert error == (
        "the object of class 'Counter' is gone with what it knew; the worker of venv 'venv' ended by signal 9"
    )
    assert raw.call_method("one", "Counter.add", n=1) == 1
    assert raw.call_method("two", "Counter.add", n=1) == 2


def test_a_method_that_raises_fails_its_call_and_the_object_lives_on(raw):
    raw.add_object(Counter(), "one")
    raw.call_method("one", "Counter.add", n=1)
    error = raw.call_method("one", "Counter.fail")

    assert error.startswith("ValueError: on purpose")
    assert raw.call_method("one", "Counter.add", n=1) == 2


@pytest.mark.parametrize(
    ("name", "method", "args", "said"),
    [
        ("one", "Counter.sub", {}, "'Counter' has no method 'Counter.sub'; it has 'Counter.__init__', 'Counter.add', "),
        ("one", "Counter.add", {"m": 1}, "'Counter.add' has no parameter 'm'; it takes 'n'"),
        ("one", "Counter.add", {}, "'Counter.add' was called without 'n'; send every argument before the call"),
        ("two", "Counter.add", {"n": 1}, "the function 'Counter.add' is not registered in this session; "),
    ],
)
def test_calls_that_make_no_sense_are_refused(fresh, name, method, args, said):
    fresh.add_object(Counter(), "one")

    assert fresh.call_method(name, method, **args).startswith(said)


def test_an_object_that_cannot_be_loaded_fails_its_calls_by_the_name_of_the_method(raw):
    raw.add_object(Counter(), "one", pickled=b"no pickle")

    assert "could not load 'Counter.where'" in raw.call_method("one", "Counter.where")
