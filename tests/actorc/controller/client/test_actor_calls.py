"""Single calls on the platform: values, and every way in which a call can fail."""

from __future__ import annotations

import linecache
import os
import signal
import threading
import traceback

import cloudpickle
import pytest

from actorc.controller.client.calls import Calls
from actorc.controller.client.session import message_size
from actorc.controller.errors import (
    MessageTooLargeError,
    ParameterError,
    PicklingError,
    RemoteFunctionError,
    UnknownFunctionError,
)
from actorc.controller.lucas.functions import named

SECONDS = 30


def test_a_call_returns_the_value_from_another_process(actor):
    @actor
    def where(x, y=2):
        return os.getpid(), x, y

    pid, *given = where.export()({"x": [1, None]})

    assert given == [[1, None], 2]
    assert pid != os.getpid()


def test_none_is_a_value(actor):
    @actor
    def nothing(x):
        return x

    assert nothing.export()({"x": None}) is None


def test_a_function_without_parameters_runs(actor):
    @actor
    def constant():
        return 7

    assert [constant.export()(), constant.export()({})] == [7, 7]


def test_a_function_of_params_gets_the_whole_dict(actor):
    @actor
    def whole(params):
        return sorted(params)

    assert whole.export()({"b": 1, "a": 2}) == ["a", "b"]
    assert whole.export()({"params": {"c": 1}}) == ["c"]


def test_a_generator_becomes_a_list(actor):
    @actor
    def count(n):
        yield from range(n)

    assert count.export()({"n": 3}) == [0, 1, 2]


def test_helpers_below_the_function_are_found(actor):
    @actor
    def outer():
        return helper()

    def helper():
        return "below"

    assert outer.export()() == "below"


def test_the_latest_of_two_functions_of_one_name_is_called(actor):
    def first():
        return 1

    def second():
        return 2

    results = [actor(each, name="twice").export()() for each in (first, second)]

    assert results == [1, 2]
    assert named("twice").function is second


def test_an_error_shows_the_workers_traceback(actor):
    @actor
    def fails(x):
        raise ValueError("no: such key")

    with pytest.raises(RemoteFunctionError, match="'fails' raised ValueError on its worker, no: such key") as caught:
        fails.export()({"x": 1})

    assert (caught.value.function, caught.value.error_type) == ("fails", "ValueError")
    assert f'File "{__file__}", line ' in caught.value.traceback
    assert 'in fails\n    raise ValueError("no: such key")' in caught.value.traceback


def test_an_error_shows_the_source_of_a_function_that_no_file_on_the_worker_has(actor, monkeypatch):
    source = "def typed(x):\n    raise KeyError(x)  # in a notebook\n"
    lines = source.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<cell 7>", (len(source), None, lines, "<cell 7>"))
    cell = {"__name__": "__main__"}
    exec(compile(source, "<cell 7>", "exec"), cell)

    with pytest.raises(RemoteFunctionError) as caught:
        actor(cell["typed"]).export()({"x": 1})

    assert "raise KeyError(x)  # in a notebook" in caught.value.traceback


def test_the_traceback_here_is_the_callers_alone(actor):
    @actor
    def fails(x):
        raise ValueError("no: such key")

    with pytest.raises(RemoteFunctionError) as caught:
        fails.export()({"x": 1})

    assert {frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)} == {__file__}


def test_a_function_that_is_an_argument_shows_its_source_too(actor):
    @actor
    def applied(function):
        return function(1)

    with pytest.raises(RemoteFunctionError) as caught:
        applied.export()({"function": lambda x: {}[x]})  # the lambda's line

    assert "# the lambda's line" in caught.value.traceback


def test_parameters_are_checked_before_anything_is_sent(actor, own_context):
    @actor
    def add(a, b):
        return a + b

    with pytest.raises(ParameterError, match="'add' did not get 'b' and got 'c', which it does not take"):
        add.export()({"a": 1, "c": 2})
    with pytest.raises(ParameterError, match="'add' is called with a dict of its parameters, not with list"):
        add.export()([1, 2])

    assert own_context._connection._latest is None


def test_parameters_without_names_are_refused_at_decoration(actor):
    with pytest.raises(ParameterError, match=r"'open_ended' takes \*\*rest"):

        @actor
        def open_ended(a, **rest):
            return a, rest


def test_an_unknown_function_is_named_with_the_one_that_was_meant(actor):
    @actor
    def process_file():
        return 1

    with pytest.raises(UnknownFunctionError, match="no function is registered as 'proces_file'; did you mean"):
        named("proces_file")


def test_a_function_of_another_provider_is_not_sent(actor):
    @actor
    def here(x):
        return x

    import lucas

    lucas.function(name="only_here")(lambda rt: rt.input())

    with pytest.raises(UnknownFunctionError, match="'only_here' is not registered for the actor platform"):
        named("only_here")


def test_an_argument_that_cannot_be_pickled_is_named(actor):
    @actor
    def takes(a, lock):
        return a, lock

    with pytest.raises(PicklingError, match="the argument 'lock' of 'takes' cannot be sent because it cannot be"):
        takes.export()({"a": 1, "lock": threading.Lock()})

    assert takes.export()({"a": 1, "lock": 2}) == (1, 2)


def test_a_function_that_cannot_be_pickled_is_an_error_of_the_call(actor):
    lock = threading.Lock()

    @actor
    def holds():
        return lock

    with pytest.raises(PicklingError, match="the function 'holds' cannot be sent to a worker because 'lock'"):
        holds.export()()


def test_a_result_that_cannot_be_pickled_is_an_error_of_the_call(actor):
    @actor
    def makes():
        import threading

        return threading.Lock()

    with pytest.raises(RemoteFunctionError, match="'makes'"):
        makes.export()()


def test_a_result_that_cannot_be_read_here_names_the_function(actor):
    @actor
    def strange():
        class Strange:
            def __reduce__(self):
                return exec, ("import no_such_module_here_or_there",)

        return Strange()

    with pytest.raises(PicklingError, match="the result of 'strange' cannot be read here because of ModuleNotFound"):
        strange.export()()


def test_a_function_whose_import_fails_is_an_error_and_the_next_call_works(actor):
    class Unloadable:
        def __reduce__(self):
            return __import__, ("no_such_module_on_the_worker",)

    unloadable = Unloadable()

    @actor
    def broken():
        return unloadable

    @actor
    def whole():
        return 1

    with pytest.raises(RemoteFunctionError, match="'broken' raised ModuleNotFoundError"):
        broken.export()()
    assert whole.export()() == 1


def test_a_worker_that_is_killed_is_an_error_and_the_next_call_works(actor):
    @actor(venv="killed")
    def dies(sig):
        import os

        if sig:
            os.kill(os.getpid(), sig)
        return "alive"

    with pytest.raises(RemoteFunctionError, match="'dies' failed on the platform"):
        dies.export()({"sig": signal.SIGKILL.value})
    assert dies.export()({"sig": 0}) == "alive"


def test_what_no_message_carries_is_refused_and_the_session_goes_on(actor, monkeypatch):
    @actor
    def size(data):
        return len(data)

    assert size.export()({"data": b"x"}) == 1
    monkeypatch.setattr(message_size, "MAX_MESSAGE_SIZE", 1 << 20)

    with pytest.raises(MessageTooLargeError, match="the argument 'data' of 'size' has 2 MiB, and a message carries 1"):
        size.export()({"data": bytes(2 << 20)})
    assert size.export()({"data": b"xy"}) == 2


def test_calls_of_many_threads_get_their_own_answers(actor):
    from concurrent.futures import ThreadPoolExecutor

    @actor(replicas=2)
    def double(x):
        return 2 * x

    call = double.export()
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda x: call({"x": x}), range(100), timeout=SECONDS))

    assert results == [2 * x for x in range(100)]


def test_large_values_go_with_a_burst_of_small_ones(actor):
    @actor
    def same(x):
        return x

    given = [bytes(number if number % 10 else 1 << 20) for number in range(100)]
    with Calls() as calls:
        begun = [calls.start(named("same"), {"x": each}) for each in given]
        returned = calls.fetched([each.result(SECONDS) for each in begun])

    assert returned == given


def test_a_context_is_not_pickled(context):
    with pytest.raises(TypeError, match="an ActorContext belongs to one process"):
        cloudpickle.dumps(context)
