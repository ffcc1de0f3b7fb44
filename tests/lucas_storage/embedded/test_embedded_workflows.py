"""Workflows: inputs, steps, reruns, errors, exports."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from lucas_storage.embedded import (
    Lambda,
    Metadata,
    MissingInputError,
    Runtime,
    UnknownFunctionError,
    Workflow,
    create_handler,
    function,
    workflow,
)
from lucas_storage.embedded.runtime import LocalOnceRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator


@pytest.fixture(autouse=True)
def _functions() -> None:
    @function
    def echo(rt: Runtime) -> Any:
        return rt.input()

    @function
    def times10(rt: Runtime) -> Any:
        return rt.input()["x"] * 10

    @function
    def nothing(rt: Runtime) -> None: ...

    @function
    def odd(rt: Runtime) -> Any:
        if rt.input()["x"] % 2 == 0:
            message = "even"
            raise ValueError(message)
        return rt.input()["x"]


def run(body: Callable[[Workflow], Any], data: dict[str, Any] | None = None) -> Any:
    """Run `body` as a workflow, once."""
    return workflow(body).export()(data or {})


def test_results_flow_from_step_to_step() -> None:
    assert run(lambda wf: wf.call("times10", {"x": wf.call("times10", {"x": wf.input()["n"]})}), {"n": 2}) == 200


def test_a_workflow_can_be_run_again_and_again() -> None:
    main = workflow(lambda wf: wf.call("times10", {"x": wf.input()["n"]})).export()

    assert [main({"n": n}) for n in (1, 5, 2)] == [10, 50, 20]


def test_a_failed_run_leaves_the_next_one_alone() -> None:
    main = workflow(lambda wf: wf.call("odd", {"x": wf.input()["n"]})).export()

    assert main({"n": 1}) == 1
    with pytest.raises(ValueError, match="even"):
        main({"n": 2})
    assert main({"n": 3}) == 3


def test_runs_in_several_threads_do_not_meet() -> None:
    together = threading.Barrier(4, timeout=30)

    @function
    def meet(rt: Runtime) -> Any:
        together.wait()
        return rt.input()["n"]

    main = workflow(lambda wf: wf.call("meet", {"n": wf.input()["n"]})).export()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: main({"n": n}), range(4))) == [0, 1, 2, 3]


def test_none_is_a_value_everywhere() -> None:
    def body(wf: Workflow) -> Any:
        wf.call("nothing", {})
        return wf.call("echo", {"input": wf.input()["n"], "constant": None, "result": wf.call("nothing", {"x": None})})

    assert run(body, {"n": None}) == {"input": None, "constant": None, "result": None}


def test_a_workflow_may_return_nothing() -> None:
    assert run(lambda _: None) is None


@pytest.mark.parametrize("value", [0, "", False, {}, [], b"", (), 0.0])
def test_an_empty_value_is_a_value(value: Any) -> None:
    assert run(lambda wf: wf.call("echo", {"v": wf.call("echo", {"v": value})})) == {"v": {"v": value}}


def test_a_workflow_may_return_an_input_or_a_constant() -> None:
    assert run(lambda wf: wf.input()["n"], {"n": 7}) == 7
    assert run(lambda _: "constant") == "constant"


def test_one_result_can_be_given_for_several_parameters() -> None:
    def body(wf: Workflow) -> Any:
        one = wf.call("times10", {"x": 1})
        return wf.call("echo", {"left": one, "right": one, "nested": [one, one]})

    assert run(body) == {"left": 10, "right": 10, "nested": [10, 10]}


def test_one_result_can_be_given_for_several_arguments_of_a_plain_function() -> None:
    def body(wf: Workflow) -> Any:
        one = wf.call("times10", {"x": 1})
        return wf.func(lambda a, b, c: (a, b, c), one, one, c=one)

    assert run(body) == (10, 10, 10)


def test_one_object_can_be_given_for_several_parameters() -> None:
    shared = [1]

    assert run(lambda wf: wf.call("echo", {"a": shared, "b": shared})) == {"a": [1], "b": [1]}


def test_results_inside_containers_are_resolved() -> None:
    def body(wf: Workflow) -> Any:
        ten, twenty = wf.call("times10", {"x": 1}), wf.call("times10", {"x": 2})
        return {"all": wf.call("echo", {"v": [ten, {"k": (twenty, 5)}]}), "one": ten}

    assert run(body) == {"all": {"v": [10, {"k": (20, 5)}]}, "one": 10}


def test_a_container_that_holds_itself_is_passed_on_as_it_is() -> None:
    circle: list[Any] = []
    circle.append(circle)

    assert run(lambda wf: wf.call("echo", {"v": circle}))["v"] is circle


def test_a_default_is_used_when_an_input_is_not_given() -> None:
    def body(wf: Workflow) -> Any:
        given = wf.input()
        return wf.call("echo", {"a": given.get("n", 7), "b": given.get("n", 8), "c": given.get("n")})

    assert run(body) == {"a": 7, "b": 8, "c": None}
    assert run(body, {"n": 1}) == {"a": 1, "b": 1, "c": 1}


def test_a_missing_input_is_named_before_any_step_runs() -> None:
    ran: list[str] = []

    def body(wf: Workflow) -> Any:
        wf.func(ran.append, "step")
        return wf.input()["wanted"]

    main = workflow(body).export()
    with pytest.raises(MissingInputError) as caught:
        main({"given": "a secret"})

    assert isinstance(caught.value, KeyError)
    assert str(caught.value) == (
        "The workflow 'body' needs the input 'wanted', which this run lacks. It was given 'given'."
    )
    assert ran == []


def test_inputs_must_be_a_dict() -> None:
    main = workflow(lambda wf: wf.input()["n"]).export()
    with pytest.raises(TypeError, match="takes its inputs as a dict by name, not list"):
        main([1])


def test_the_inputs_cannot_be_walked_while_the_graph_is_built() -> None:
    for misuse in (lambda wf: list(wf.input()), lambda wf: "x" in wf.input()):
        with pytest.raises(TypeError, match="known only when the workflow runs"):
            workflow(misuse)


def test_an_unknown_function_is_an_error_that_names_the_known_ones() -> None:
    main = workflow(lambda wf: wf.call("tims10", {"x": 1})).export()
    with pytest.raises(UnknownFunctionError) as caught:
        main({})

    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == (
        "No function is registered as 'tims10'. Registered are '<lambda>', 'echo', 'nothing', 'odd', 'times10'."
        " Did you mean 'times10'?"
    )


def test_a_function_may_be_registered_after_the_workflow() -> None:
    main = workflow(lambda wf: wf.call("later", {})).export()

    @function
    def later(rt: Runtime) -> str:
        return "found"

    assert main({}) == "found"


def test_functions_and_workflows_can_call_each_other() -> None:
    @function
    def outer(rt: Runtime) -> Any:
        return rt.call("inner", {"n": rt.call("times10", {"x": rt.input()["n"]})}) + 1

    @workflow
    def inner(wf: Workflow) -> Any:
        return wf.call("times10", {"x": wf.input()["n"]})

    assert run(lambda wf: wf.call("outer", {"n": wf.input()["n"]}), {"n": 2}) == 201


def test_a_step_error_is_the_users_own_and_ends_the_run() -> None:
    ran: list[str] = []
    failure = OSError("disk on fire")

    def fail() -> None:
        raise failure

    def body(wf: Workflow) -> Any:
        failed = wf.func(fail)
        wf.func(ran.append, "independent and later")
        return wf.func(ran.append, failed)

    with pytest.raises(OSError, match="disk on fire") as caught:
        run(body)

    assert caught.value is failure
    assert ran == []


def test_a_generator_loses_nothing() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2

    def only_returns() -> Generator[int, None, str]:
        yield from ()
        return "returned"

    assert run(lambda wf: wf.call("echo", {"v": wf.func(items)})) == {"v": [1, 2]}
    assert run(lambda wf: wf.func(only_returns)) == "returned"


def test_a_function_gets_a_dict_of_its_own() -> None:
    @function
    def greedy(rt: Runtime) -> Any:
        return rt.input().pop("x")

    main = workflow(lambda wf: wf.call("greedy", {"x": 1})).generate()
    main.setRuntime(LocalOnceRuntime(Metadata("1", {}, None, {"greedy": greedy.export()}, "invoke", None, None)))

    assert [main.execute(), main.execute()] == [1, 1]


def test_map_gives_a_function_the_whole_list_once() -> None:
    assert run(lambda wf: wf.map("echo", {"x": wf.input()["xs"]}), {"xs": [1, 2]}) == {"x": [1, 2]}


def test_a_step_may_add_steps_and_return_their_results() -> None:
    def body(wf: Workflow) -> Any:
        def pick(value: int) -> Lambda:
            return wf.call("times10", {"x": value}) if value < 10 else wf.call("odd", {"x": value})

        return wf.func(pick, wf.input()["n"])

    main = workflow(body).export()
    assert [main({"n": n}) for n in (2, 11, 3)] == [20, 11, 30]


def test_steps_that_return_steps_can_form_a_long_chain() -> None:
    def body(wf: Workflow) -> Any:
        def count_down(left: int) -> Any:
            return wf.func(count_down, left - 1) if left else "done"

        return wf.func(count_down, 400)

    assert run(body) == "done"


def test_a_step_may_return_several_results_in_a_container() -> None:
    def body(wf: Workflow) -> Any:
        return wf.func(lambda n: {"all": [wf.call("times10", {"x": i}) for i in range(n)], "n": n}, wf.input()["n"])

    assert run(body, {"n": 3}) == {"all": [0, 10, 20], "n": 3}


def test_a_step_added_late_can_use_a_result_that_is_long_known() -> None:
    def body(wf: Workflow) -> Any:
        early = wf.call("times10", {"x": 1})
        then = wf.func(lambda value: value + 1, early)
        return wf.func(lambda value: wf.call("echo", {"early": early, "again": early, "value": value}), then)

    assert run(body) == {"early": 10, "again": 10, "value": 11}


def test_a_step_that_waits_for_itself_is_an_error_and_no_loop() -> None:
    def body(wf: Workflow) -> Any:
        own: list[Lambda] = []
        own.append(wf.func(lambda: own[0]))
        return wf.call("echo", {"v": own[0]})

    with pytest.raises(RuntimeError, match=r"waits for values that no step makes\. Steps not started are 'echo'"):
        run(body)


def test_a_value_of_another_run_is_refused() -> None:
    kept: list[Lambda] = []

    def body(wf: Workflow) -> Any:
        kept.append(wf.call("times10", {"x": 1}))
        return wf.call("echo", {"v": kept[0]})

    with pytest.raises(ValueError, match="a value of another run or workflow"):
        run(body)


def test_the_body_may_name_its_value_by_end_with() -> None:
    assert run(lambda wf: wf.end_with(wf.call("times10", {"x": 4}))) == 40


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda wf: wf.call(len, {}), "takes the name of a function as text, not builtin_function_or_method"),
        (lambda wf: wf.call("echo", wf.input()), "a dict by parameter, not WorkflowInput"),
        (lambda wf: wf.call("echo", {"all": wf.input()}), "passed on value by value"),
        (lambda wf: wf.func("echo"), "takes a plain function"),
    ],
)
def test_a_mistake_in_the_body_is_reported_at_decoration(misuse: Callable[[Workflow], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        workflow(misuse)


def test_an_executor_of_ones_own_runs_the_graph() -> None:
    class Stub:
        def __init__(self, dag: Any) -> None:
            self.dag = dag

        def execute(self) -> int:
            return len(self.dag.get_nodes())

    main = workflow(executor=Stub)(lambda wf: wf.call("echo", {"x": wf.input()["x"]}))

    assert main.export()({"x": 1}) == 3


def test_export_with_a_function_gives_that_function() -> None:
    main = workflow(provider="mine")(lambda wf: wf.call("echo", {"x": wf.input()["x"]}))

    def handler(data: Any) -> Any:
        main.set_runtime(LocalOnceRuntime(Metadata("1", data, None, {"echo": dict}, "invoke", None, None)))
        return main.generate().execute()

    assert main.export(handler) is handler
    assert [handler({"x": 1}), handler({"x": 2})] == [{"x": 1}, {"x": 2}]


def test_a_runtime_set_in_one_thread_is_not_taken_by_another() -> None:
    main = workflow(lambda wf: wf.input()["n"])
    together = threading.Barrier(4, timeout=30)

    def idiom(n: int) -> Any:
        main.set_runtime(LocalOnceRuntime(Metadata(str(n), {"n": n}, None, {}, "invoke", None, None)))
        together.wait()
        return main.generate().execute()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(idiom, range(4))) == [0, 1, 2, 3]


def test_a_graph_without_a_runtime_says_how_to_run_it() -> None:
    with pytest.raises(RuntimeError, match=r"has no runtime, so run it through export\(\)"):
        workflow(lambda _: None).generate().execute()


def test_a_graph_that_is_running_cannot_be_run_inside_itself() -> None:
    @workflow
    def main(wf: Workflow) -> Any:
        return wf.func(wf.execute)

    with pytest.raises(RuntimeError, match="'main' is running on this graph"):
        main.export()({})


@pytest.mark.parametrize("provider", ["aliyun", "cluster", "local"])
def test_an_export_for_a_distant_platform_needs_genuine_lucas(provider: str) -> None:
    with pytest.raises(RuntimeError, match=f"'{provider}' needs genuine Lucas"):
        workflow(provider=provider)(lambda _: None).export()


def test_an_export_for_an_unknown_platform_asks_for_a_handler() -> None:
    with pytest.raises(NotImplementedError, match=r"so give one, as in workflow\.export\(handler\)"):
        workflow(provider="mine")(lambda _: None).export()


def test_a_workflow_for_the_actor_platform_needs_an_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    class First:
        def __init__(self, dag: Any) -> None:
            self.dag = dag

        def execute(self) -> str:
            return "executed"

    monkeypatch.setenv("provider", "actor")
    with pytest.raises(RuntimeError, match=r"@workflow\(executor=ActorExecutor\)"):
        workflow(lambda _: None).export()
    assert workflow(executor=First)(lambda _: None).export()({}) == "executed"


def test_a_handler_of_a_workflow_has_the_shape_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    main = workflow(lambda wf: wf.call("times10", {"x": wf.input()["n"]}))

    assert create_handler(main)({"n": 3}) == 30
    monkeypatch.setenv("provider", "knative")
    request = Metadata("1", {"n": 4}, "default", {"times10": "http://times10"}, "invoke", None, None)
    assert create_handler(main)(request) == 40


def test_a_handler_takes_another_executor_for_one_run() -> None:
    class Counting:
        def __init__(self, dag: Any) -> None:
            self.dag = dag

        def execute(self) -> int:
            return len(self.dag.nodes)

    handler = create_handler(workflow(lambda wf: wf.call("times10", {"x": 1})))

    assert [handler({}, Counting), handler({})] == [3, 10]
