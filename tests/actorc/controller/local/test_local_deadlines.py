"""A call that hangs in a worker of the embedded controller: it fails, and nothing else does."""

from __future__ import annotations

import os
import sys
import threading

import cloudpickle
import psutil
import pytest

from actorc.controller.local import LocalController

pytestmark = pytest.mark.slow

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker need not import this module, and pytest with it


def hang(x):
    threading.Event().wait()


def whoami():
    return os.getpid()


class Thing:
    def hang(self):
        threading.Event().wait()

    def whoami(self):
        return os.getpid()


def test_a_call_that_hangs_ends_with_an_error_that_names_the_function(connect):
    with LocalController(["app"], call_timeout=1) as controller:
        session = connect(controller.address)
        session.register("app")
        session.add(hang)
        errors = [session.call("hang", x=1), session.call("hang", x=2)]

    told = "'hang' did not return within 1 seconds and was given up with the worker process it ran in"
    assert [error.partition(";")[0] for error in errors] == [told, told]


def test_the_process_of_a_call_that_hangs_is_replaced(raw):
    raw.add(hang, timeout=1)
    raw.add(whoami)
    before = raw.call("whoami")
    raw.call("hang", x=1)
    after = raw.call("whoami")

    assert after != before
    assert not psutil.pid_exists(before) or psutil.Process(before).wait(20) is None


def test_a_method_that_hangs_takes_its_object_along_and_no_other(raw):
    raw.add_object(Thing(), "one", timeout=1)
    raw.add_object(Thing(), "two")
    other = raw.call_method("two", "Thing.whoami")
    errors = [raw.call_method("one", f"Thing.{method}") for method in ("hang", "whoami")]

    assert errors[0].startswith("'Thing.hang' did not return within 1 seconds and was given up")
    assert errors[1] == (
        "the object of class 'Thing' is gone with what it knew; 'Thing.hang' did not return within 1 seconds"
    )
    assert raw.call_method("two", "Thing.whoami") == other


def test_a_definition_says_how_long_its_calls_take(raw):
    raw.add(hang, timeout=0.2)
    raw.add_object(Thing(), "one", timeout=0.3)
    raw.start("hang", x=1)
    raw.start_method("one", "Thing.hang")
    errors = {raw.result().error.partition(" and ")[0] for _ in range(2)}

    assert errors == {
        "'hang' did not return within 0.2 seconds",
        "'Thing.hang' did not return within 0.3 seconds",
    }


@pytest.mark.parametrize("timeout", [-1.0, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(raw, timeout):
    raw.add(hang, timeout=timeout)

    assert raw.call("hang", x=1) == f"'hang' gives a call {timeout:g} seconds; give a number above 0, such as 600"
