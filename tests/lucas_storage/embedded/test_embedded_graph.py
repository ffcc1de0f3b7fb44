"""The graph as executors see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lucas_storage.embedded import Metadata, Runtime, Workflow, function, routeBuilder, workflow
from lucas_storage.embedded.runtime import LocalOnceRuntime
from lucas_storage.embedded.workflow.dag import DAG, ControlNode, DataNode
from lucas_storage.embedded.workflow.executor import Executor
from lucas_storage.embedded.workflow.ld import Lambda


class PushingExecutor(Executor):
    """Hands values on as they become ready, the way executors of actor platforms do, and knows no children."""

    def execute(self) -> Any:
        """Push every ready value to its steps, run the steps that are complete, and reset the graph."""
        while not self.dag.hasDone():
            tasks = [node for node in self.dag.get_nodes() if self.can_start(node)]
            assert tasks, "the graph is stuck"
            while tasks:
                tasks.extend(self.advance(tasks.pop(0)))
        result = next(n._ld.value for n in self.dag.get_nodes() if isinstance(n, DataNode) and n._is_end_node)
        self.dag.reset()
        return result

    def can_start(self, node: Any) -> bool:
        """Say whether a node can be worked on without anything before it."""
        if node._done:
            return False
        return node._ready if isinstance(node, DataNode) else node.get_pre_data_nodes() == []

    def advance(self, node: Any) -> list[Any]:
        """Work on one node and return the nodes that can be worked on because of it."""
        node._done = True
        if isinstance(node, DataNode):
            return [step for step in node.get_succ_control_nodes() if self.push(node, step)]
        result = node.get_data_node()
        result.set_value(node._fn(node._datas))
        result.set_ready()
        return [result] if result.is_ready() else []

    def push(self, node: DataNode, step: ControlNode) -> bool:
        """Give a step a value, by the names in its description, and more keys than it asked for once it is complete."""
        assert node._ld.getid() in step.metadata()["params"]
        complete = step.appargs(node._ld)
        if complete and step._fn_type == "remote":
            step._datas["sessionID"] = "1"
        return complete


@pytest.fixture(autouse=True)
def _functions() -> None:
    @function
    def pair(rt: Runtime) -> Any:
        return [rt.input()["a"], rt.input()["b"]]

    @function
    def nothing(rt: Runtime) -> None: ...


def body(wf: Workflow) -> Any:
    """Use everything an executor can meet."""
    given = wf.input()["n"]
    both = wf.call("pair", {"a": given, "b": given})
    same = wf.call("pair", {"a": both, "b": both})
    late = wf.func(lambda n: wf.call("pair", {"a": n, "b": given}), given)
    mapped = wf.func(list, [given, 1]).map(lambda n: n + 1)
    wf.call("nothing", {})
    return {"same": same[0], "late": late, "mapped": mapped, "none": wf.call("nothing", {"x": None})}


EXPECTED = {"same": [5, 5], "late": [5, 5], "mapped": [6, 2], "none": None}


def graph_of(data: dict[str, Any]) -> Workflow:
    """Return the graph of `body`, ready to be executed."""
    graph = workflow(body).generate()
    graph.setRuntime(
        LocalOnceRuntime(Metadata("1", data, None, dict(routeBuilder.build().handlers()), "invoke", None, None))
    )
    return graph


@pytest.mark.parametrize("executor", [Executor, PushingExecutor])
def test_an_executor_finds_what_it_needs(executor: type[Executor]) -> None:
    graph = graph_of({"n": 5})
    graph.setExecutor(executor)
    built = len(graph.dag.nodes)

    assert [graph.execute(), graph.execute()] == [EXPECTED, EXPECTED]
    assert len(graph.dag.nodes) == built
    assert not any(node._done for node in graph.dag.nodes)


def test_a_run_that_failed_leaves_the_graph_as_it_was() -> None:
    graph = graph_of({"n": "text"})
    built = len(graph.dag.nodes)
    with pytest.raises(TypeError):
        graph.execute()

    assert len(graph.dag.nodes) == built
    graph.setRuntime(
        LocalOnceRuntime(Metadata("2", {"n": 5}, None, dict(routeBuilder.build().handlers()), "invoke", None, None))
    )
    assert graph.execute() == EXPECTED


def test_the_description_of_a_graph_is_json_without_values() -> None:
    graph = graph_of({"n": 5})
    graph._take({"n": "a secret"})
    text = json.dumps(graph.valicate().metadata())
    nodes = json.loads(text)

    assert "secret" not in text
    assert {node["type"] for node in nodes} == {"ControlNode", "DataNode"}
    steps = [node for node in nodes if node["type"] == "ControlNode"]
    places = {node["id"]: node for node in nodes if node["type"] == "DataNode"}
    for step in steps:
        assert places[step["data_node"]]["pre_control_node"] == step["id"]
        assert all(step["id"] in places[place]["suf_control_nodes"] for place in step["pre_data_nodes"])
        assert {places[place]["lambda"] for place in step["pre_data_nodes"]} == set(step["params"])
        assert step["current"] == 0


def test_nodes_do_not_show_values() -> None:
    graph = graph_of({})
    graph._take({"n": "a secret"})

    assert "secret" not in "".join(f"{node!r}{node}{node.describe()}" for node in graph.dag.nodes)


def test_a_step_can_be_calculated_by_hand() -> None:
    dag = DAG(Workflow())
    step = ControlNode(lambda event: event["x"] * 2, "double", "local")
    given, result = DataNode(Lambda(4)), DataNode(Lambda())
    step.defParams(given._ld, "x")
    step.add_pre_data_node(given)
    step.set_data_node(result)
    result.set_pre_control_node(step)
    given.add_succ_control_node(step)
    dag.add_node(given)

    assert set(dag.get_nodes()) == {step, given, result}
    assert (given.is_ready(), result.is_ready(), step.can_run()) == (True, False, False)
    assert step.appargs(given._ld)
    assert step.calculate() is result
    assert (result.is_ready(), result._ld.value) == (True, 8)


def test_a_value_is_complete_when_the_values_in_it_are() -> None:
    step = ControlNode(lambda _: None, "step", "local")
    outer, inner = DataNode(Lambda()), DataNode(Lambda())
    outer.set_pre_control_node(step)
    outer.set_value([1, inner._ld])
    outer.set_ready()

    assert (outer.is_ready(), outer._child_node, inner._parent_node) == (False, [inner], outer)
    inner.set_value(None)
    assert (outer.is_ready(), outer._ld.value) == (True, [1, None])
