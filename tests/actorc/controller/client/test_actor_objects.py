"""Objects on the platform: `ActorRuntimeClass`, `call_method` and `remote`, against the embedded controller."""

from __future__ import annotations

import os

import lucas
import pytest

from actorc.controller import ActorContext, ActorExecutor, ActorRuntimeClass
from actorc.controller.errors import ControllerError, ControllerUnavailableError, ParameterError, RemoteFunctionError


@pytest.fixture
def counter(context):
    """A class whose objects live on the platform."""

    @lucas.actor(wrapper=ActorRuntimeClass, provider="actor", name="counter", venv="tests", cpu=1, memory=128)
    class Counter:
        def __init__(self, value=0):
            self.value = value

        def add(self, by=1):
            self.value += by
            return self.value

        def read(self, after=None):
            return self.value

        def where(self):
            return os.getpid()

        def fail(self, reason):
            raise LookupError(reason)

        def anything(self, *given):
            return given

        @property
        def looked_at(self):
            raise AssertionError("a property is not a method")

        label = "a counter"

    return Counter


def test_an_object_keeps_its_state_between_calls(counter):
    made = counter.export(10)

    assert [made.remote("add", {"by": 2}), made.remote("add", {}), made.remote("read", {})] == [12, 13, 13]


def test_an_object_lives_in_another_process_and_others_have_a_state_of_their_own(counter):
    one, two = counter.export(), counter.export(5)

    assert one.remote("where", {}) != os.getpid()
    assert [one.remote("add", {}), two.remote("add", {}), one.remote("read", {})] == [1, 6, 1]


def test_methods_are_steps_that_take_results_of_others_by_reference(counter):
    made = counter.export()

    @lucas.workflow(executor=ActorExecutor, provider="actor")
    def main(wf):
        added = wf.call_method(made, "add", {"by": wf.input()["by"]})
        twice = wf.call_method(made, "add", {"by": added})
        return wf.func(lambda *seen: list(seen), added, twice)

    run = main.export()
    assert [run({"by": 3}), run({"by": 1})] == [[3, 6], [7, 14]]


def test_many_calls_of_one_method_in_one_run_have_a_result_each(counter):
    made = counter.export()

    @lucas.workflow(executor=ActorExecutor, provider="actor")
    def main(wf):
        return wf.func(lambda *seen: sorted(seen), *[wf.call_method(made, "add", {}) for _ in range(5)])

    assert main.export()({}) == [1, 2, 3, 4, 5]


def test_what_a_method_raises_names_it(counter):
    with pytest.raises(RemoteFunctionError, match=r"'counter\.fail' raised LookupError on its worker, on purpose"):
        counter.export().remote("fail", {"reason": "on purpose"})


def test_a_call_is_checked_before_anything_is_sent(counter):
    made = counter.export()

    with pytest.raises(ParameterError, match=r"'counter\.add' got 'bye', which it does not take"):
        made.remote("add", {"bye": 1})
    with pytest.raises(ParameterError, match=r"'counter\.anything' takes \*given"):
        made.remote("anything", {})
    with pytest.raises(TypeError, match="'label' of 'counter' is no method"):
        made.remote("label", {})
    with pytest.raises(AttributeError):
        made.remote("ad", {})


def test_an_object_is_gone_with_the_connection_it_was_sent_over(counter, context, controller):
    made = counter.export()
    assert made.remote("add", {}) == 1
    context.close()
    ActorContext.createContext(controller.address, "tests.anew")

    with pytest.raises(ControllerUnavailableError, match="the object of 'counter' is gone, with its state"):
        made.remote("read", {})
    assert counter.export().remote("read", {}) == 0


def test_an_object_of_another_platform_is_refused(context):
    @lucas.actor(provider="local-once", wrapper=None)
    class Here:
        def say(self):
            return 1

    made = Here.export()

    @lucas.workflow(executor=ActorExecutor, provider="actor")
    def main(wf):
        return wf.call_method(made, "say", {})

    with pytest.raises(ControllerError, match=r"'Here\.say' is called is not for the actor platform"):
        main.export()({})


def test_classes_and_functions_of_the_platform_need_no_wrapper_on_the_embedded_engine(context):
    @lucas.function(provider="actor", venv="tests")
    def double(a):
        return 2 * a

    @lucas.actor(provider="actor", venv="tests")
    class Kept:
        def take(self, a):
            return a + 1

    made = Kept.export()

    @lucas.workflow(executor=ActorExecutor, provider="actor")
    def main(wf):
        return wf.call("double", {"a": wf.call_method(made, "take", {"a": 1})})

    assert main.export()({}) == 4


def test_what_cannot_be_pickled_is_told_before_anything_is_sent(context):
    @lucas.actor(wrapper=ActorRuntimeClass, provider="actor", venv="tests")
    class Holds:
        def __init__(self):
            self.lock = __import__("threading").Lock()

        def call(self):
            return 1

    with pytest.raises(ControllerError, match="the object 'Holds' cannot be sent to a worker"):
        Holds.export().remote("call", {})
