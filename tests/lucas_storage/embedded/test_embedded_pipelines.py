"""What Lucas's own scripts import beside functions and workflows: groups, pipelines, a web server, a logger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lucas_storage.embedded import (
    Executor,
    Function,
    RouteRunner,
    Runtime,
    UnknownFunctionError,
    create_handler,
    durable,
    function,
    recursive,
    routeBuilder,
    workflow,
)
from lucas_storage.embedded.rl.ppo import PPOPipeline
from lucas_storage.embedded.serve.serve import Serve
from lucas_storage.embedded.train.trainer import TrainerConfig, TrainerPipeline, data_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded import Workflow


class ByName(Function):
    """Calls functions with the input's values by name."""

    def _transformfunction(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda data: fn(**data)


def config(name: str) -> TrainerConfig:
    return TrainerConfig(wrapper=ByName, dependency=[], provider="mine", name=name, venv="v")


def test_a_call_of_a_group_goes_to_its_functions_in_turn() -> None:
    asked: list[str] = []

    @data_process(num_workers=2, name="double", wrapper=ByName, provider="mine")
    def process(x: int) -> int:
        return x * 2

    @workflow
    def main(wf: Workflow) -> Any:
        calls = [wf.call("double", {"x": wf.input()["x"]}) for _ in range(3)]
        asked.extend(step._fn_name for step in wf.dag.get_nodes() if hasattr(step, "_fn_name"))
        return wf.func(lambda *made: sum(made), *calls)

    assert main.export()({"x": 7}) == 42
    assert asked[:3] == ["double_worker_0", "double_worker_1", "double_worker_0"]


def test_a_group_is_found_by_its_name() -> None:
    routeBuilder.group("any").set_group_func(lambda: function(lambda rt: rt))

    found = routeBuilder.build().find("any")
    assert found is routeBuilder.build().groups[0]


def test_a_group_without_functions_is_refused() -> None:
    with pytest.raises(ValueError, match="a positive number of workers, not 0"):
        data_process(num_workers=0)


def test_a_pipeline_passes_on_what_each_of_its_functions_returns() -> None:
    pipeline = TrainerPipeline(
        data_loader=lambda dataset, count: list(dataset[:count]),
        data_processer=lambda loader: [item.upper() for item in loader],
        model_trainer=lambda left, right: [left, right],
        data_loader_config=config("load"),
        data_processer_config=config("process"),
        model_trainer_config=config("train"),
    ).export(Executor)

    assert pipeline.export()({"dataset": "abc", "count": 2}) == [["A", "B"], ["A", "B"]]


def test_a_pipeline_without_a_function_or_a_configuration_says_so() -> None:
    with pytest.raises(ValueError, match="needs a function, such as data_loader"):
        TrainerPipeline().export(Executor)
    with pytest.raises(ValueError, match="has a data_loader and no data_loader_config"):
        TrainerPipeline(data_loader=lambda x: x).export(Executor)


def test_a_model_learns_within_an_actor() -> None:
    class Model:
        learned = 0

        def learn(self, total_timesteps: int) -> None:
            self.learned += total_timesteps

    pipeline = PPOPipeline(Model())
    pipeline.set_name("trainer")
    trainer = pipeline.export().export()

    @workflow
    def main(wf: Workflow) -> Any:
        trained = wf.call_method(trainer, "train", {"total_timesteps": wf.input()["n"]})
        model = wf.call_method(trainer, "get_model", {})
        return wf.func(lambda model, _: model.learned, model, trained)

    run = main.export()
    assert [run({"n": 3}), run({"n": 4})] == [3, 7]


def test_workflows_answer_requests() -> None:
    @workflow
    def main(wf: Workflow) -> Any:
        return wf.func(lambda a: {"got": a}, wf.input()["a"])

    serve = Serve()
    serve.add_route("/one", main)
    serve.set_workflow_func(lambda data: sorted(data))
    serve.add_route("/two", main)
    client = serve._app.test_client()

    answers = [client.post(path, json={"b": 1, "a": 2}) for path in ("/one", "/two")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [json.loads(answer.data) for answer in answers] == [
        {"status": 1, "result": {"got": 2}},
        {"status": 1, "result": ["a", "b"]},
    ]
    assert client.get("/one").status_code == 405


def test_a_durable_function_runs_like_any_other() -> None:
    @function
    def add(rt: Runtime) -> Any:
        return rt.input()["a"] + rt.input()["b"]

    @durable
    def chain(rt: Runtime) -> Any:
        return rt.call("add", {"a": rt.call("add", {"a": 1, "b": 2}), "b": 3})

    @workflow
    def main(wf: Workflow) -> Any:
        return wf.call("chain", {})

    assert create_handler(main)({}) == 6


def test_a_durable_function_of_another_platform_needs_genuine_lucas() -> None:
    with pytest.raises(RuntimeError, match="@durable with the provider 'knative' needs genuine Lucas"):
        durable(provider="knative")


def test_a_recursive_function_is_given_itself() -> None:
    factorial = recursive(lambda itself: lambda n: n * itself(n - 1) if n else 1)

    assert factorial(5) == 120


def test_a_runner_gives_handlers_by_name() -> None:
    @function
    def echo(rt: Runtime) -> Any:
        return rt.input()

    runner = RouteRunner(routeBuilder.build())
    assert runner.route("echo")({"x": 1}) == {"x": 1}
    with pytest.raises(UnknownFunctionError, match="Did you mean 'echo'"):
        runner.route("ecko")


def test_scripts_write_to_lucas_logger_and_choose_its_level(fresh_python: Callable[..., str]) -> None:
    code = """
import os, sys
sys.stderr = sys.stdout
import without_lucas
from lucas_storage.embedded import install
install()
from lucas.utils.logging import log
log.info("shown"); log.debug("not shown")
"""
    assert fresh_python(code).endswith("shown")
    assert fresh_python(code.replace("import os, sys", "import os, sys; os.environ['LUCAS_LOG'] = '3'")) == ""


def test_importing_the_engine_leaves_lucas_logger_as_it_is(fresh_python: Callable[..., str]) -> None:
    code = "import logging, lucas_storage.embedded; print(logging.getLogger('lucas').handlers)"

    assert fresh_python(code) == "[]"
