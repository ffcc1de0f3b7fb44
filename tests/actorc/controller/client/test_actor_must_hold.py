"""Whatever goes wrong with a call is an error soon that names the function, and the next call works."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

import lucas
import psutil
import pytest

from actorc.controller import ActorContext, ActorExecutor
from actorc.controller.errors import (
    ControllerUnavailableError,
    ParameterError,
    PicklingError,
    RemoteFunctionError,
    UnknownFunctionError,
)
from actorc.controller.local import LocalController
from lucas_storage import run

SOON = 2
PATIENCE = 30


def begun(call, *arguments):
    """Start a call on a thread that ends with the process, and return its outcome to come."""
    outcome = Future()

    def work():
        try:
            outcome.set_result(call(*arguments))
        except Exception as error:  # noqa: BLE001  # handed to whoever waits
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return outcome


def step(name, arguments):
    """Return a workflow of one call, as something to call."""

    @lucas.workflow(executor=ActorExecutor)
    def one(wf):
        return wf.call(name, arguments)

    return lambda: one.export()({})


@pytest.fixture
def double(actor):
    """A function that works, and whose worker runs."""

    @actor
    def double(x):
        return 2 * x

    assert double.export()({"x": 1}) == 2


@pytest.fixture
def broken(actor):
    """Functions that do not work."""

    class Unloadable:
        def __reduce__(self):
            return __import__, ("no_such_module_on_the_worker",)

    unloadable = Unloadable()

    @actor
    def unlucky(x):
        raise ValueError("on purpose")

    @actor
    def imports(x):
        return unloadable

    @actor
    def dies(x):
        import os

        os.kill(os.getpid(), 9)

    @actor
    def leaves(x):
        import sys

        sys.exit(3)


LOCK = threading.Lock()
FAILURES = {
    "it raises": ("unlucky", {"x": 1}, RemoteFunctionError, "'unlucky' raised ValueError on its worker, on purpose"),
    "it exits": ("leaves", {"x": 1}, RemoteFunctionError, "'leaves' raised SystemExit on its worker"),
    "its worker is killed": ("dies", {"x": 1}, RemoteFunctionError, "ended by signal 9 while it ran 'dies'"),
    "its import fails there": ("imports", {"x": 1}, RemoteFunctionError, "'imports' raised ModuleNotFoundError"),
    "a parameter is missing": ("unlucky", {}, ParameterError, "'unlucky' did not get 'x'"),
    "a parameter is surplus": ("unlucky", {"x": 1, "y": 2}, ParameterError, "'unlucky' got 'y', which it does not"),
    "nobody knows it": ("unluky", {"x": 1}, UnknownFunctionError, "no function is registered as 'unluky'"),
    "an argument cannot be pickled": ("unlucky", {"x": LOCK}, PicklingError, "the argument 'x' of 'unlucky' cannot"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_call_that_cannot_work_is_an_error_soon_and_the_next_one_works(double, broken, failure):
    name, arguments, kind, said = FAILURES[failure]

    with pytest.raises(kind) as caught:
        begun(step(name, arguments)).result(SOON)

    assert said in str(caught.value).partition("\n")[0]
    assert caught.value.function == name
    assert begun(step("double", {"x": 4})).result(PATIENCE) == 8


@pytest.fixture
def alone(free_port, context):
    """A controller of this test's own, which this process uses from now on, and how to start another one there."""
    address = f"127.0.0.1:{free_port}"
    with LocalController(["tests"], listen=address) as first:
        through = ActorContext.createContext(address, "tests")
        yield first, lambda: LocalController(["tests"], listen=address)
        through.close()


@pytest.fixture
def endless(actor, tmp_path):
    """A function that makes a file and never returns, and the file."""

    @actor
    def endless(path):
        import threading
        from pathlib import Path

        Path(path).touch()
        threading.Event().wait()

    return step("endless", {"path": str(tmp_path / "started")}), tmp_path / "started"


def wait_for(path, outcome):
    while not path.exists():
        assert not wait([outcome], timeout=0.01).done


@pytest.mark.slow
def test_a_killed_worker_ends_the_call_that_waits_for_it(double, endless):
    call, started = endless
    outcome = begun(call)
    wait_for(started, outcome)
    for worker in busy_workers():
        worker.kill()

    with pytest.raises(RemoteFunctionError, match="ended by signal 9 while it ran 'endless'"):
        outcome.result(SOON)
    assert step("double", {"x": 4})() == 8


def busy_workers():
    return [each for each in psutil.Process().children(recursive=True) if is_worker(each)]


def is_worker(process):
    # other tests of this process have children, too, some of which end now
    with suppress(psutil.NoSuchProcess):
        return "actorc.controller.local.worker" in process.cmdline()
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_controller_that_ends_fails_the_calls_under_way_and_another_one_serves_the_next(
    alone, endless, double, number
):
    first, start_again = alone
    call, started = endless
    outcome = begun(call)
    wait_for(started, outcome)
    os.kill(first.pid, number)

    with pytest.raises(ControllerUnavailableError, match=f"lost during a call of 'endless'.*{first.address}") as caught:
        outcome.result(SOON)
    assert (caught.value.address, caught.value.function) == (first.address, "endless")
    first.close()
    with pytest.raises(ControllerUnavailableError, match="the controller cannot be reached at"):
        begun(step("double", {"x": 1})).result(SOON)
    with start_again():
        assert step("double", {"x": 4})() == 8


def chained(wf):
    made = wf.call("double", {"x": wf.input()["x"]})
    return wf.call("double", {"x": wf.func(lambda value: value + 1, made)})


@pytest.mark.parametrize("way", ["run", "export"])
def test_a_workflow_gives_the_right_answer_twice_and_ten_times_at_once(double, storage, way):
    workflow = lucas.workflow(executor=ActorExecutor)(chained)
    exported = workflow.export()
    call = exported if way == "export" else lambda inputs: run(workflow, inputs)

    twice = [call({"x": 1}), call({"x": 2})]
    with ThreadPoolExecutor(10) as pool:
        at_once = list(pool.map(lambda x: call({"x": x}), range(10), timeout=PATIENCE))

    assert twice == [6, 10]
    assert at_once == [4 * x + 2 for x in range(10)]
