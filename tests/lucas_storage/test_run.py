"""`run`: inputs enter as references, results come back as values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lucas_storage import ArtifactRef, StorageExecutor, run, with_storage
from lucas_storage.embedded import Executor, Metadata, function, workflow
from lucas_storage.errors import NoFormatError

pytestmark = pytest.mark.usefixtures("settings")

seen = []


@pytest.fixture(autouse=True)
def _nothing_seen(empty_registry):
    seen.clear()


def step(body):
    return function(name=body.__name__)(with_storage(body))


def flow_of(name, *parameters, **options):
    """Return a workflow of one step whose inputs have the names of its parameters."""

    @workflow(**options)
    def flow(wf):
        return wf.call(name, {one: wf.input()[one] for one in parameters})

    return flow


def test_a_file_goes_in_and_a_table_comes_out(tmp_path):
    path = tmp_path / "weather.csv"
    path.write_text("a,b\n" + "1,2\n" * 20_000)

    @step
    def clean(raw: Path) -> pd.DataFrame:
        seen.append(raw)
        return pd.read_csv(raw)

    frame = run(flow_of("clean", "raw"), {"raw": path})

    assert (type(frame), len(frame)) == (pd.DataFrame, 20_000)
    assert (seen[0].name, seen[0] == path) == ("weather.csv", False)


def test_the_body_of_a_workflow_is_run_once_for_its_decoration_and_once_for_each_run():
    @step
    def double(n):
        return 2 * n

    @workflow
    def flow(wf):
        seen.append("body")
        return wf.call("double", {"n": wf.input()["n"]})

    assert [run(flow, {"n": 1}), run(flow, {"n": 2})] == [2, 4]
    assert len(seen) == 3


def test_the_result_can_stay_a_reference():
    @step
    def make(n):
        return {"array": np.arange(n), "n": n}

    out = run(flow_of("make", "n"), {"n": 100_000}, materialize=False)

    assert isinstance(out["array"], ArtifactRef)
    assert out["n"] == 100_000
    assert len(out["array"].load()) == 100_000


def test_big_inputs_travel_as_references():
    @function
    def undecorated(rt):
        seen.append(rt.input()["x"])

    run(flow_of("undecorated", "x"), {"x": list(range(100_000))})

    assert list(seen[0]) == ["$artifact"]


def test_none_as_input_and_result():
    @step
    def same(x):
        return x

    assert run(flow_of("same", "x"), {"x": None}) is None


def test_runs_are_fresh():
    @step
    def square(x):
        return x * x

    flow = flow_of("square", "x")

    assert [run(flow, {"x": n}) for n in (2, 3, 2)] == [4, 9, 4]


def test_the_users_own_error_is_raised():
    class OddError(Exception):
        pass

    @step
    def fail(x):
        raise OddError(x)

    @step
    def fine(x):
        return x

    with pytest.raises(OddError):
        run(flow_of("fail", "x"), {"x": 1})
    assert run(flow_of("fine", "x"), {"x": 1}) == 1


def test_a_missing_input_is_named_with_the_one_that_was_meant():
    @step
    def same(raw):
        seen.append(raw)

    with pytest.raises(TypeError, match=r"needs the input 'raw', which was not given; did you mean it by 'row'\?"):
        run(flow_of("same", "raw"), {"row": np.arange(100_000)})

    assert seen == []


def test_an_input_that_cannot_be_stored_starts_nothing(tmp_path):
    @step
    def same(raw):
        seen.append(raw)

    (tmp_path / "link").symlink_to("nowhere")

    with pytest.raises(NoFormatError, match="the symbolic link 'link'"):
        run(flow_of("same", "raw"), {"raw": tmp_path})

    assert seen == []


@pytest.mark.parametrize("wrong", [step, "flow", None, lambda data: data])
def test_only_workflows_are_run(wrong):
    with pytest.raises(TypeError, match="run takes what @workflow made"):
        run(wrong)


def test_a_workflow_without_inputs_runs():
    @workflow
    def flow(wf):
        return 5

    assert run(flow) == 5


class Recording(Executor):
    """An executor of the user's own."""

    def execute(self):
        seen.append("mine")
        return super().execute()


@pytest.mark.parametrize(
    ("options", "kept"),
    [({}, []), ({"executor": StorageExecutor}, []), ({"executor": Executor}, []), ({"executor": Recording}, ["mine"])],
)
def test_an_executor_of_the_users_own_is_kept(options, kept):
    @step
    def same(x):
        return x

    assert run(flow_of("same", "x", **options), {"x": 1}) == 1
    assert kept == seen


def test_plain_code_in_the_workflow_sees_values():
    @step
    def make(n):
        return [np.full(50_000, n), b"x"]

    @workflow
    def flow(wf):
        made = wf.call("make", {"n": wf.input()["n"]})
        return wf.func(lambda both: (both[0].sum().item(), both[1]), made)

    assert run(flow, {"n": 2}) == (100_000, b"x")


def test_a_file_returned_by_plain_code_reaches_the_next_step(tmp_path):
    @step
    def read(raw: bytes):
        return raw.decode()

    path = tmp_path / "a"
    path.write_text("hello")

    @workflow
    def flow(wf):
        return wf.call("read", {"raw": wf.func(lambda: path)})

    assert run(flow) == "hello"


class TestExported:
    """What `export()` gives of a workflow on `StorageExecutor`."""

    @pytest.fixture
    def flow(self):
        @step
        def make(n):
            return {"array": np.arange(n), "n": n, "nothing": None, "pair": (1, 2)}

        return flow_of("make", "n", executor=StorageExecutor)

    def test_it_returns_what_run_returns(self, flow):
        exported, ran = flow.export()({"n": 100_000}), run(flow, {"n": 100_000})

        assert type(exported["array"]) is np.ndarray
        assert (exported.pop("array") == ran.pop("array")).all()
        assert exported == ran == {"n": 100_000, "nothing": None, "pair": (1, 2)}

    def test_none_is_a_value(self):
        @step
        def nothing(x):
            return None

        assert flow_of("nothing", "x", executor=StorageExecutor).export()({"x": 1}) is None

    def test_run_leaves_references_if_it_is_told_to(self, flow):
        assert isinstance(run(flow, {"n": 100_000}, materialize=False)["array"], ArtifactRef)

    def test_a_platform_is_answered_with_references(self, flow):
        answer = flow.handler("knative")(Metadata("1", {"n": 100_000}, None, {}, "invoke", None, None))

        assert list(answer["array"]) == ["$artifact"]
        assert len(ArtifactRef.parse(answer["array"]).load()) == 100_000
        assert json.loads(json.dumps(answer))["array"] == answer["array"]

    def test_a_step_that_calls_it_gets_values_in_a_run_that_keeps_references(self, flow):
        @step
        def outer(n):
            seen.append(flow.export()({"n": n})["array"])
            return seen[0]

        out = run(flow_of("outer", "n", executor=StorageExecutor), {"n": 100_000}, materialize=False)

        assert type(seen[0]) is np.ndarray
        assert isinstance(out, ArtifactRef)
