"""`@actor`, objects with a state, and `wf.call_method`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from lucas_storage.embedded import ActorClass, ActorInstance, actor, routeBuilder, workflow
from lucas_storage.embedded.workflow.executor import MulThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lucas_storage.embedded import Workflow


class Noted(ActorInstance):
    """An object whose calls are written down instead of made."""

    def remote(self, method_name: str, data: Mapping[str, Any]) -> Any:
        return [method_name, dict(data)]


class Notes(ActorClass):
    """A platform of its own."""

    def onClassInit(self, instance: Any) -> ActorInstance:
        return Noted(instance)


def counter() -> Any:
    @actor
    class Counter:
        def __init__(self, start: int = 0) -> None:
            self.value = start

        def add(self, by: int) -> int:
            self.value += by
            return self.value

        def read(self, after: Any = None) -> int:
            return self.value

        def fail(self) -> None:
            raise LookupError(self.value)

        label = "a counter"

    return Counter


def test_methods_are_steps_and_the_object_keeps_its_state_between_them() -> None:
    made = counter().export(10)

    @workflow
    def main(wf: Workflow) -> Any:
        added = wf.call_method(made, "add", {"by": wf.input()["by"]})
        return wf.call_method(made, "read", {"after": added})

    run = main.export()
    assert [run({"by": 1}), run({"by": 5})] == [11, 16]


def test_an_object_that_is_made_in_the_body_serves_one_run() -> None:
    kind = counter()

    @workflow
    def main(wf: Workflow) -> Any:
        return wf.call_method(kind.export(), "add", {"by": wf.input()["by"]})

    run = main.export()
    assert [run({"by": 1}), run({"by": 5})] == [1, 5]


def test_a_method_is_called_outside_of_a_workflow() -> None:
    made = counter().export()

    assert [made.remote("add", {"by": 2}), made.remote("read", {})] == [2, 2]


def test_what_a_method_raises_ends_the_run_as_it_is() -> None:
    made = counter().export(3)

    @workflow
    def main(wf: Workflow) -> Any:
        return wf.call_method(made, "fail", {})

    with pytest.raises(LookupError, match="3"):
        main.export()({})


def test_a_method_that_the_class_lacks_is_missed_when_the_workflow_is_described() -> None:
    made = counter().export()

    with pytest.raises(AttributeError, match="'Counter' has no method 'ad'; did you mean 'add'"):
        workflow(lambda wf: wf.call_method(made, "ad", {}))
    with pytest.raises(TypeError, match="'label' of 'Counter' is str, which cannot be called"):
        workflow(lambda wf: wf.call_method(made, "label", {}))


def test_only_what_export_makes_can_be_called() -> None:
    with pytest.raises(TypeError, match="what export"):
        workflow(lambda wf: wf.call_method(counter(), "add", {"by": 1}))
    with pytest.raises(TypeError, match="as a dict by parameter"):
        workflow(lambda wf: wf.call_method(counter().export(), "add", [1]))


def test_a_call_keeps_other_threads_from_the_object() -> None:
    entered: list[bool] = []

    @actor
    class Alone:
        def enter(self) -> None:
            other = threading.Thread(target=lambda: entered.append(made._calling.acquire(blocking=False)))
            other.start()
            other.join()

    made: Any = Alone.export()
    made.remote("enter", {})

    assert entered == [False]


def test_steps_run_at_the_same_time_on_threads() -> None:
    both = threading.Barrier(2)

    @workflow(executor=MulThreadExecutor)
    def main(wf: Workflow) -> Any:
        def meet(number: int) -> int:
            both.wait(30)
            return number

        return wf.func(lambda *seen: sorted(seen), wf.func(meet, 1), wf.func(meet, 2))

    run = main.export()
    assert [run({}), run({})] == [[1, 2], [1, 2]]


def test_a_wrapper_says_where_objects_are() -> None:
    @actor(wrapper=Notes, provider="mine", name="noted", venv="v")
    class Kind:
        def say(self, word: str) -> None: ...

    made = Kind.export()

    @workflow
    def main(wf: Workflow) -> Any:
        return wf.call_method(made, "say", {"word": "hello"})

    assert main.export()({}) == ["say", {"word": "hello"}]
    assert (Kind._config.venv, Kind._config["name"]) == ("v", "noted")


@pytest.mark.parametrize("provider", ["cluster", "knative"])
def test_classes_of_other_platforms_need_genuine_lucas(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("provider", provider)

    with pytest.raises(RuntimeError, match=f"'{provider}' needs genuine Lucas"):
        counter()


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(TypeError, match="@actor decorates a class, not function"):
        actor(lambda: None)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"must be a subclass of lucas\.ActorClass"):
        actor(wrapper=dict)(type("Kind", (), {}))


def test_the_latest_object_of_a_class_is_registered_under_its_name() -> None:
    kind = counter()
    kind.export(1)
    kind.export(2)

    (entry,) = routeBuilder.build().actors
    assert (entry.name, entry._cls.value) == ("Counter", 2)
    assert routeBuilder.build().find("Counter") is entry


def test_a_graph_describes_calls_of_methods_without_values() -> None:
    made = counter().export()

    @workflow
    def main(wf: Workflow) -> Any:
        return wf.call_method(made, "add", {"by": 1})

    (step,) = [node for node in main.generate().valicate().metadata() if node["type"] == "ActorNode"]
    assert (step["functionname"], step["classname"], step["objid"]) == ("Counter.add", "Counter", made._id)
