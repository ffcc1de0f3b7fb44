"""Past runs as objects, and the graph of a run: which step took what from which."""

from __future__ import annotations

import json
import platform
import re
import sys
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import lucas_storage
from lucas_storage import last_run, run, runs, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import NotFoundError
from lucas_storage.records import record_store, run_history, run_log


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch, empty_registry):
    monkeypatch.setattr(run_log, "_last", None)


def step(body):
    return function(name=body.__name__)(with_storage(body))


@step
def one(n):
    return n + 1


@step
def plus(a, b):
    return a + b


@step
def zeros(n):
    return np.zeros(n)


@step
def fail(n):
    raise KeyError(n)


def registered(*functions):
    """Register the functions of this module again, which a fixture has removed."""
    for each in functions:
        step(each._origin_fn.__wrapped__)


def edges(graph):
    names = {node.key: node.name for node in graph.nodes}
    ends = ((edge.source, edge.target) for edge in graph.edges)
    return sorted((names[source], names[target]) for source, target in ends if {source, target} <= names.keys())


def ran(body, inputs=None):
    registered(one, plus, zeros, fail)
    run(workflow(body), inputs or {})
    return last_run()


@pytest.mark.usefixtures("settings")
def test_steps_that_exchange_equal_small_values_are_told_apart():
    def sums(wf):
        first, second = (wf.call("one", {"n": wf.input()["n"]}) for _ in range(2))
        return wf.call("plus", {"a": first, "b": second})

    past = ran(sums, {"n": 1})

    assert [each.function for each in past.steps] == ["one", "one", "plus"]
    assert sorted(past.steps[2].after) == sorted(each.key for each in past.steps[:2])
    assert edges(past.graph) == [("one", "plus"), ("one", "plus"), ("plus", "result")]


@pytest.mark.usefixtures("settings")
def test_plain_code_between_two_steps_does_not_break_the_graph():
    def sums(wf):
        doubled = wf.func(lambda x: x * 2, wf.call("one", {"n": wf.input()["n"]}))
        return {"sum": wf.call("plus", {"a": doubled, "b": 1})}

    assert edges(ran(sums, {"n": 1}).graph) == [("one", "plus"), ("plus", "result")]


@pytest.mark.usefixtures("settings")
def test_steps_that_plain_code_adds_while_it_runs_are_followed():
    def sums(wf):
        added = wf.func(lambda x: wf.call("one", {"n": x}), wf.call("one", {"n": wf.input()["n"]}))
        return wf.call("plus", {"a": added, "b": 1})

    found = edges(ran(sums, {"n": 1}).graph)

    assert ("one", "plus") in found
    assert ("plus", "result") in found


@pytest.mark.usefixtures("settings")
def test_stored_data_is_in_the_graph_with_its_bytes():
    def sums(wf):
        return wf.call("plus", {"a": wf.input()["array"], "b": wf.call("zeros", {"n": 10_000})})

    graph = ran(sums, {"array": np.ones(10_000)}).graph

    assert edges(graph) == [("array", "plus"), ("plus", "result"), ("zeros", "plus")]
    assert {edge.size for edge in graph.edges} == {80_128}
    assert {node.name: node.state for node in graph.nodes}["array"] == "data"


def test_the_record_of_an_early_version_is_drawn_by_its_references(storage):
    def sums(wf):
        return wf.call("plus", {"a": 1, "b": wf.call("zeros", {"n": 10_000})})

    past = ran(sums)
    name = f"{record_store.RUNS}{past.id}/run.json"
    record = json.loads(storage.get_object(storage.bucket, name))
    for each in (record, *record["steps"]):
        del each["after"]
    for each in record["steps"]:
        del each["key"]
    storage.put_object(storage.bucket, name, json.dumps(record).encode(), metadata={})

    early = last_run()

    assert {each.after for each in early.steps} == {()}
    assert edges(early.graph) == [("plus", "result"), ("zeros", "plus")]


def test_strange_fields_of_a_record_are_left_out(storage):
    past = ran(lambda_free_workflow, {"n": 1})
    name = f"{record_store.RUNS}{past.id}/run.json"
    record = json.loads(storage.get_object(storage.bucket, name))
    (made,) = record["steps"]
    made["after"] = [made["key"], 7, None, {"a": 1}, "no step"]
    record["after"] = "no list"
    storage.put_object(storage.bucket, name, json.dumps(record).encode(), metadata={})

    strange = last_run()

    assert edges(strange.graph) == [("one", "one")]
    assert ET.fromstring(strange.svg()).attrib["aria-label"].endswith("1 steps (1 succeeded)")


@pytest.mark.parametrize("number", ["1e999", "1e300", "-1e20", "9" * 400])
def test_numbers_that_no_run_has_are_shown_without_failing(storage, number):
    past = ran(lambda_free_workflow, {"n": 1})
    name = f"{record_store.RUNS}{past.id}/run.json"
    text = storage.get_object(storage.bucket, name).decode()
    strange = re.sub(r'"(started|seconds|parallel)":[0-9.e-]+', rf'"\1":{number}', text)
    strange = strange.replace('"out":[]', f'"out":[{{"inline":"json@1","size":{number}}}]')
    storage.put_object(storage.bucket, name, strange.encode(), metadata={})

    for shown in (last_run(), runs()):
        ET.fromstring(shown._repr_html_())
    assert last_run().started.year == 1970


def lambda_free_workflow(wf):
    return wf.call("one", {"n": wf.input()["n"]})


@pytest.mark.usefixtures("settings")
def test_a_failed_run_shows_which_step_failed_and_how():
    with pytest.raises(KeyError):
        ran(lambda wf: wf.call("fail", {"n": wf.call("one", {"n": 1})}))

    past = last_run()

    assert (past.status, past.error) == ("failed", "KeyError")
    assert [(node.name, node.state, node.note) for node in past.graph.nodes] == [
        ("one", "succeeded", ""),
        ("fail", "failed", "KeyError"),
    ]
    assert edges(past.graph) == [("one", "fail")]


@pytest.mark.usefixtures("settings")
def test_a_run_tells_what_it_was():
    past = ran(lambda_free_workflow, {"n": 1})

    assert past.workflow == "lambda_free_workflow"
    assert past.status == "succeeded"
    assert past.error is None
    assert past.started <= datetime.now(UTC)
    assert past.seconds > 0
    assert repr(past).startswith(f"<run {past.id} of 'lambda_free_workflow': succeeded, 1 steps, 0.")
    assert repr(past.steps[0]).startswith("<step 'one': succeeded, 0.")
    assert past.mermaid().startswith("flowchart TD\n")


@pytest.mark.usefixtures("settings")
def test_the_artifacts_of_a_run_can_be_loaded():
    def sums(wf):
        return wf.call("plus", {"a": wf.input()["array"], "b": wf.call("zeros", {"n": 10_000})})

    past = ran(sums, {"array": np.ones(10_000)})

    assert past.inputs["array"][0].load().sum() == 10_000
    assert past.outputs[0].load().sum() == 10_000


@pytest.mark.usefixtures("settings")
def test_the_last_run_is_that_of_this_process_and_in_a_new_one_the_latest_of_the_store(monkeypatch):
    first = ran(lambda_free_workflow, {"n": 1})
    second = ran(lambda_free_workflow, {"n": 2})

    assert [each.id for each in runs()] == [second.id, first.id]
    assert [each.id for each in runs(1)] == [second.id]
    monkeypatch.setattr(run_log, "_last", first.id)
    assert last_run().id == first.id
    monkeypatch.setattr(run_log, "_last", None)
    assert last_run().id == second.id


@pytest.mark.usefixtures("settings")
def test_without_a_run_there_is_a_clear_error():
    assert runs() == []
    with pytest.raises(NotFoundError, match="no run"):
        last_run()


@pytest.mark.usefixtures("settings")
def test_runs_are_shown_as_html_with_every_name_escaped():
    def evil(wf):
        return wf.call("<script>\u202e", {"n": 1})

    function(name="<script>\u202e")(with_storage(one._origin_fn.__wrapped__))
    evil.__name__ = "<img src=x>"
    run(workflow(evil), {})

    for shown in (last_run()._repr_html_(), runs()._repr_html_()):
        tags = {each.tag.rpartition("}")[2] for each in ET.fromstring(shown).iter()}
        assert not {"script", "img"} & tags
        assert "&lt;img src=x&gt;" in shown
        assert "\u202e" not in shown


@pytest.mark.usefixtures("settings")
def test_a_run_tells_its_error_and_its_place_with_every_text_escaped():
    @function(name="fail")
    @with_storage
    def fail(x):
        raise ValueError("<script>alert(1)</script>\u202e" + "y" * 100_000)

    @workflow
    def flow(wf):
        return wf.call("fail", {"x": wf.input()["x"]})

    with pytest.raises(ValueError, match="script"):
        run(flow, {"x": 1})
    past = last_run()
    shown = past._repr_html_()

    assert past.message.startswith("<script>")
    assert (past.machine, past.python) == (platform.node(), platform.python_version())
    assert (past.parameters, "numpy" in past.packages) == ({"x": 1}, "numpy" in sys.modules)
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script" not in shown
    assert "\u202e" not in shown
    assert len(shown) < 20_000


def test_a_run_of_hundreds_of_steps_is_shown_in_little(storage):
    def step_of(at):
        return run_history.PastStep(
            key=str(at),
            after=(),
            function="f",
            started=at,
            seconds=1.0,
            reused=False,
            error=None,
            inputs={},
            outputs=(),
        )

    past = run_history.PastRun(
        key="K", workflow="w", status="succeeded", started=0.0, seconds=1.0, error=None, parallel=1, inputs={},
        outputs=(), after=(), steps=tuple(map(step_of, range(500))),
    )  # fmt: skip

    shown = lucas_storage.lineage.runs.Run(past)._repr_html_()

    assert len(shown) < 30_000
    assert "and 400 more" in shown
    assert "f \u00d7 500" in shown
