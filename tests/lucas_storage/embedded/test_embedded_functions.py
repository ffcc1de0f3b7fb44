"""`@function`, `Function`, providers and wrappers."""

from __future__ import annotations

import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from lucas_storage.embedded import Function, Runtime, create_handler, function, routeBuilder, workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded import Workflow


class ByName(Function):
    """Calls functions with the input's values by name, and remembers the order of things."""

    def __init__(self, fn: Callable[..., Any], config: dict[str, Any] | None = None) -> None:
        self.seen: list[str] = []
        super().__init__(fn, config)

    def _transformfunction(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        self.seen.append(f"transform, _fn is {'there' if hasattr(self, '_fn') else 'missing'}")
        return lambda data: fn(**data)

    def onFunctionInit(self, fn: Callable[..., Any]) -> None:
        self.seen.append(f"init of {fn.__name__}")


class AsIs(Function):
    """Calls functions with the input as it is."""

    def _transformfunction(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return fn


def test_a_function_is_called_with_a_runtime_that_has_its_input() -> None:
    @function
    def double(rt: Runtime) -> Any:
        return rt.output(rt.input()["x"] * 2)

    assert double.export()({"x": 21}) == 42


def test_every_keyword_reaches_the_function_as_an_item_and_as_an_attribute() -> None:
    @function(name="other", venv="v", cpu=4, anything=[1])
    def noop(rt: Runtime) -> None: ...

    config = noop._config
    expected = {
        "name": "other",
        "venv": "v",
        "cpu": 4,
        "anything": [1],
        "memory": 128,
        "dependency": [],
        "provider": "local-once",
    }
    assert dict(config) == expected
    assert (config.venv, config.memory) == ("v", 128)
    with pytest.raises(AttributeError, match="decorated without 'replicas'"):
        _ = config.replicas


def test_a_configuration_can_be_pickled() -> None:
    @function(venv="v")
    def noop(rt: Runtime) -> None: ...

    assert pickle.loads(pickle.dumps(noop._config)).venv == "v"


def test_a_wrapper_transforms_first_and_initialises_last() -> None:
    @function(wrapper=ByName, provider="mine")
    def add(a: int, b: int) -> int:
        return a + b

    assert isinstance(add, ByName)
    assert add.seen == ["transform, _fn is missing", "init of add"]


@pytest.mark.parametrize("provider", ["mine", "actor", "local-once", "cluster"])
def test_a_wrapper_wins_over_every_provider(provider: str) -> None:
    @function(wrapper=AsIs, provider=provider)
    def keys(params: dict[str, Any]) -> list[str]:
        return sorted(params)

    @workflow
    def main(wf: Workflow) -> Any:
        return wf.call("keys", {"b": wf.input()["b"], "a": 1})

    assert main.export()({"b": 2}) == ["a", "b"]


def test_an_unknown_provider_needs_a_wrapper() -> None:
    with pytest.raises(ValueError, match="'mine' is unknown, so give its class as wrapper="):
        function(provider="mine")(lambda rt: rt)


@pytest.mark.parametrize("provider", ["knative", "aliyun", "cluster", "local"])
def test_the_provider_of_the_environment_is_read_at_each_decoration(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("provider", provider)
    with pytest.raises(RuntimeError, match=f"'{provider}' needs genuine Lucas"):
        function(lambda rt: rt)

    monkeypatch.setenv("provider", "local-once")
    function(lambda rt: rt)


@pytest.mark.parametrize("provider", ["knative", "cluster"])
def test_who_asks_for_a_platform_of_genuine_lucas_alone_is_told_how_to_get_it(provider: str) -> None:
    with pytest.raises(RuntimeError, match=r"clone https://github\.com/Xdydy/Lucas and 'pip install -e' the clone"):
        function(provider=provider)(lambda rt: rt)


def test_a_wrapper_that_is_no_function_class_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a subclass of lucas\.Function"):
        function(wrapper=dict)(lambda rt: rt)


def test_a_base_function_says_what_a_subclass_must_define() -> None:
    with pytest.raises(NotImplementedError, match="define _transformfunction"):
        function(wrapper=Function)(lambda rt: rt)


def test_only_functions_can_be_decorated() -> None:
    @function
    def once(rt: Runtime) -> None: ...

    with pytest.raises(TypeError, match="not LocalOnceFunction"):
        function(once)  # type: ignore[call-overload]


def test_a_partial_takes_its_name_from_the_decorator() -> None:
    function(name="scaled")(partial(lambda factor, rt: rt.input()["x"] * factor, 3))

    assert routeBuilder.build().handlers()["scaled"]({"x": 2}) == 6


def test_the_latest_function_of_a_name_is_the_one_that_counts() -> None:
    @function(name="same")
    def one(rt: Runtime) -> str:
        return "one"

    @function(name="same")
    def two(rt: Runtime) -> str:
        return "two"

    @workflow
    def main(wf: Workflow) -> Any:
        return wf.call("same", {})

    found = routeBuilder.build().find("same")
    assert main.export()({}) == "two"
    assert found is not None
    assert found.handler is two.export()
    assert found.handler is not one.export()


def test_find_gives_none_for_a_name_nobody_registered() -> None:
    assert routeBuilder.build().find("nobody") is None


def test_a_handler_of_a_function_is_what_it_exports() -> None:
    @function
    def echo(rt: Runtime) -> Any:
        return rt.input()

    assert create_handler(echo)({"x": 1}) == {"x": 1}


def test_a_handler_is_made_of_decorated_things_only() -> None:
    with pytest.raises(TypeError, match="what @function or @workflow made, not function"):
        create_handler(lambda rt: rt)  # type: ignore[arg-type]
