"""`StorageExecutor` on the embedded engine; `embedded/test_same_as_genuine.py` tries it on genuine Lucas."""

from __future__ import annotations

import contextvars
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lucas_storage.executor
from lucas_storage.embedded import Metadata, Runtime, Workflow, function, routeBuilder, workflow
from lucas_storage.embedded.runtime import LocalOnceRuntime
from lucas_storage.embedded.workflow.dag import DAG, ControlNode, DataNode
from lucas_storage.embedded.workflow.ld import Lambda
from lucas_storage.engine.scheduler import GraphExecutor
from lucas_storage.executor import StorageExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 30


@pytest.fixture(autouse=True)
def _functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routeBuilder, "funcs", [])
    monkeypatch.setattr(routeBuilder, "works", [])
    monkeypatch.delenv("provider", raising=False)

    @function
    def echo(rt: Runtime) -> Any:
        return rt.input()

    @function
    def times10(rt: Runtime) -> Any:
        return rt.input()["x"] * 10

    @function
    def nothing(rt: Runtime) -> None: ...


def exported(body: Callable[[Workflow], Any], executor: type[StorageExecutor] = StorageExecutor) -> Callable[..., Any]:
    """Return `body` as a workflow that can be called."""
    return workflow(executor=executor)(body).export()


def graph_of(body: Callable[[Workflow], Any], executor: type[StorageExecutor] = StorageExecutor) -> Workflow:
    """Return one graph of `body`, to be executed again and again as genuine Lucas does."""
    graph = workflow(executor=executor)(body).generate()
    router = dict(routeBuilder.build().handlers())
    graph.setRuntime(LocalOnceRuntime(Metadata("1", {}, None, router, "invoke", None, None)))
    return graph


def test_a_workflow_gives_its_value_again_and_again() -> None:
    def body(wf: Workflow) -> Any:
        n = wf.input()["n"]
        wf.call("nothing", {"x": n})
        return wf.call("echo", {"a": wf.call("times10", {"x": n}), "b": wf.call("nothing", {}), "c": None, "d": [n]})

    main = exported(body)
    assert [main({"n": n}) for n in (1, 5)] == [{"a": n * 10, "b": None, "c": None, "d": [n]} for n in (1, 5)]


def test_a_workflow_may_be_empty() -> None:
    assert exported(lambda _: None)({}) is None


def test_independent_steps_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=PATIENCE)

    @function
    def meet(rt: Runtime) -> Any:
        meeting.wait()
        return rt.input()["n"]

    main = exported(lambda wf: [wf.call("meet", {"n": n}) for n in range(3)])
    assert main({}) == [0, 1, 2]


def test_no_more_steps_run_at_once_than_there_are_workers() -> None:
    class Two(StorageExecutor):
        max_workers = 2

    meeting, counting, running, most = threading.Barrier(2, timeout=PATIENCE), threading.Lock(), 0, 0

    def count(change: int) -> None:
        nonlocal running, most
        with counting:
            running += change
            most = max(most, running)

    def step(n: int) -> int:
        count(1)
        meeting.wait()
        count(-1)
        return n

    main = exported(lambda wf: [wf.func(step, n) for n in range(6)], Two)
    assert main({}) == [0, 1, 2, 3, 4, 5]
    assert most == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_one_worker_is_the_least(workers: int) -> None:
    few = type("Few", (StorageExecutor,), {"max_workers": workers})

    assert exported(lambda wf: [wf.func(abs, n) for n in (-1, -2)], few)({}) == [1, 2]


def test_a_step_alone_runs_on_the_callers_thread() -> None:
    assert exported(lambda wf: wf.func(threading.get_ident))({}) == threading.get_ident()


def test_steps_see_the_context_of_the_caller_and_keep_theirs() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    def step(own: str) -> str:
        seen = variable.get()
        variable.set(own)
        return seen

    variable.set("caller's")
    main = exported(lambda wf: [wf.func(step, str(n)) for n in range(3)])
    assert main({}) == ["caller's"] * 3
    assert variable.get() == "caller's"


def test_an_error_is_the_users_own_and_names_the_step() -> None:
    failure = OSError("disk on fire")

    def fail() -> None:
        raise failure

    @workflow(executor=StorageExecutor)
    def report(wf: Workflow) -> Any:
        return [wf.func(fail), wf.func(abs, 1)]

    for _ in range(2):
        with pytest.raises(OSError, match="disk on fire") as caught:
            report.export()({})
        assert caught.value is failure

    assert failure.__notes__ == ["Raised in the step 'fail' of the workflow 'report'."]


def test_an_error_stops_the_run_at_once_and_starts_nothing_more() -> None:
    started, release = threading.Event(), threading.Event()
    ran: list[Any] = []

    def blocked() -> None:
        started.set()
        release.wait()

    def fail() -> None:
        started.wait(PATIENCE)
        message = "boom"
        raise ValueError(message)

    def body(wf: Workflow) -> Any:
        wf.func(ran.append, wf.func(blocked))
        return wf.func(ran.append, wf.func(fail))

    with pytest.raises(ValueError, match="boom"):
        exported(body)({})
    assert not release.is_set()
    assert ran == []
    release.set()


def test_the_exit_of_a_step_is_no_value() -> None:
    with pytest.raises(SystemExit):
        exported(lambda wf: [wf.func(sys.exit, 3), wf.func(abs, 1)])({})


def test_a_failed_run_leaves_the_graph_as_it_was() -> None:
    attempts: list[int] = []

    def body(wf: Workflow) -> Any:
        def second_time_lucky() -> Any:
            attempts.append(1)
            return wf.call("times10", {"x": 1 if len(attempts) > 1 else None})

        return wf.func(second_time_lucky)

    graph = graph_of(body)
    built = list(graph.dag.nodes)
    with pytest.raises(TypeError):
        graph.execute()
    assert graph.dag.nodes == built
    assert graph.execute() == 10
    assert graph.dag.nodes == built


class Straggling:
    """A workflow with a failing step beside a `wf.func` that adds a step later, when it is released."""

    def __init__(self) -> None:
        self.started, self.release, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.is_failing = True

    def body(self, wf: Workflow) -> Any:
        def adds_late() -> Any:
            self.started.set()
            self.release.wait()
            added = wf.call("times10", {"x": 1})
            self.ended.set()
            return added

        def fails() -> None:
            self.started.wait(PATIENCE)
            if self.is_failing:
                message = "boom"
                raise ValueError(message)

        return [wf.func(adds_late), wf.func(fails)]

    def fail(self, graph: Workflow) -> None:
        """Run into the error, and let the next run succeed."""
        with pytest.raises(ValueError, match="boom"):
            graph.execute()
        self.is_failing = False


def test_what_a_step_adds_after_its_run_failed_is_not_in_the_next_run() -> None:
    straggling = Straggling()
    graph = graph_of(straggling.body)
    built = list(graph.dag.nodes)
    straggling.fail(graph)
    straggling.release.set()
    straggling.ended.wait(PATIENCE)

    assert [graph.execute(), graph.execute()] == [[10, None], [10, None]]
    assert graph.dag.nodes == built


def test_a_step_that_never_ends_is_an_error_of_the_next_run_and_no_hang() -> None:
    class Impatient(StorageExecutor):
        straggler_seconds = 0.0

    straggling = Straggling()
    graph = graph_of(straggling.body, Impatient)
    straggling.fail(graph)
    with pytest.raises(RuntimeError, match="'step adds_late' of an earlier run, which failed, is still running"):
        graph.execute()
    straggling.release.set()


def test_steps_added_while_running_run_too() -> None:
    ran: list[str] = []

    def body(wf: Workflow) -> Any:
        def pick(n: int) -> Any:
            wf.func(ran.append, "beside")
            return wf.call("times10", {"x": n})

        return wf.func(pick, wf.input()["n"])

    assert exported(body)({"n": 2}) == 20
    assert ran == ["beside"]


def test_map_fans_a_function_out_in_parallel() -> None:
    meeting = threading.Barrier(4, timeout=PATIENCE)

    @function
    def meet(rt: Runtime) -> Any:
        meeting.wait()
        return rt.input()["n"] ** 2

    main = exported(lambda wf: wf.input()["ns"].map(lambda n: wf.call("meet", {"n": n})))
    assert main({"ns": [1, 2, 3, 4]}) == [1, 4, 9, 16]


def test_steps_that_return_steps_can_form_a_long_chain() -> None:
    def body(wf: Workflow) -> Any:
        def count_down(left: int) -> Any:
            return wf.func(count_down, left - 1) if left else "done"

        return wf.func(count_down, 1500)

    assert exported(body)({}) == "done"


def test_a_step_added_late_can_use_a_result_that_is_long_known() -> None:
    def body(wf: Workflow) -> Any:
        early = wf.call("times10", {"x": 1})
        then = wf.func(lambda value: value + 1, early)
        return wf.func(lambda value: wf.call("echo", {"early": early, "value": value}), then)

    assert exported(body)({}) == {"early": 10, "value": 11}


def test_a_generator_becomes_a_list_and_its_error_the_steps() -> None:
    def items(n: int) -> Iterator[int]:
        yield from range(n)

    main = exported(lambda wf: wf.call("echo", {"v": wf.func(items, wf.input()["n"])}))
    assert main({"n": 3}) == {"v": [0, 1, 2]}
    with pytest.raises(TypeError):
        main({"n": None})


def test_a_step_that_waits_for_itself_is_an_error_and_no_loop() -> None:
    def body(wf: Workflow) -> Any:
        own: list[Lambda] = []
        own.append(wf.func(lambda: own[0]))
        return wf.call("echo", {"v": own[0]})

    with pytest.raises(
        RuntimeError, match=r"values that no step makes\. Steps that cannot start or end are '<lambda>', 'echo'"
    ):
        exported(body)({})


def test_one_value_for_several_parameters_is_refused_where_lucas_loses_it() -> None:
    ran: list[Any] = []
    dag = DAG(Workflow())
    step, value, result = ControlNode(ran.append, "merge", "remote"), DataNode(Lambda(7)), DataNode(Lambda())
    step.set_data_node(result)
    for parameter in ("left", "right"):
        step.defParams(value._ld, parameter)
        step.add_pre_data_node(value)
    dag.add_node(step)

    with pytest.raises(ValueError, match="one value for several parameters, and this Lucas delivers only 'right'"):
        StorageExecutor(dag).execute()
    assert ran == []


def test_a_graph_that_is_running_cannot_be_run_beside_itself() -> None:
    @workflow(executor=StorageExecutor)
    def main(wf: Workflow) -> Any:
        return wf.func(lambda: StorageExecutor(wf.dag).execute())

    with pytest.raises(RuntimeError, match="'main' is being run on this graph, so let one run follow the other"):
        main.export()({})


def test_plain_code_sees_what_a_subclass_makes_of_values() -> None:
    class Doubling(GraphExecutor):
        def _local_value(self, value: Any) -> Any:
            return value * 2

    def body(wf: Workflow) -> Any:
        plain = wf.func(lambda value: value, wf.input()["n"])
        return wf.call("echo", {"plain": plain, "call": wf.input()["n"], "moved": [plain]})

    assert exported(body, Doubling)({"n": 1}) == {"plain": 2, "call": 1, "moved": [2]}


def test_values_are_in_no_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    exported(lambda wf: wf.call("echo", {"v": wf.func(str, wf.input()["n"])}))({"n": "a secret"})

    assert "secret" not in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="signals are sent the POSIX way")
def test_ctrl_c_ends_a_run_and_its_process() -> None:
    code = """
import signal, threading
from lucas_storage.embedded import workflow
from lucas_storage.executor import StorageExecutor

both = threading.Barrier(2)

def forever(interrupts):
    both.wait()
    if interrupts:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    threading.Event().wait()

@workflow(executor=StorageExecutor)
def main(wf):
    return [wf.func(forever, True), wf.func(forever, False)]

main.export()({})
"""
    root = Path(lucas_storage.executor.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
