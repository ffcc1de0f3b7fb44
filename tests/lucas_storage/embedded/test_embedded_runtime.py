"""The runtime of `local-once`, and runtimes of one's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lucas_storage.embedded import Metadata, Runtime, StorageMethods, UnknownFunctionError, function
from lucas_storage.embedded.runtime import LocalOnceRuntime


def runtime(**router: Any) -> LocalOnceRuntime:
    """Return a runtime with handlers by name."""
    return LocalOnceRuntime(Metadata("7", {"x": 1}, None, router, "invoke", None, None))


def test_a_runtime_has_input_output_and_its_request() -> None:
    rt = runtime()

    assert (rt.name, rt.input(), rt.output(5)) == ("local-once", {"x": 1}, 5)
    assert rt.metadata()._id == "7"


def test_a_function_can_call_another() -> None:
    assert runtime(double=lambda data: data["k"] * 2).call("double", {"k": 21}) == 42


def test_a_call_of_an_unknown_function_names_the_known_ones() -> None:
    for send in (runtime(one=len).call, runtime(one=len).tell):
        with pytest.raises(UnknownFunctionError, match=r"No function is registered as 'two'\. Registered are 'one'\."):
            send("two", {"input": {}})


def test_a_function_that_is_told_something_runs_by_itself() -> None:
    assert runtime(double=lambda data: data["k"] * 2).tell("double", {"input": {"k": 21}}).result(30) == 42


def test_what_a_told_function_raises_is_there_for_who_asks() -> None:
    told = runtime(fails=lambda data: data["missing"]).tell("fails", {"input": {}})

    assert isinstance(told.exception(30), KeyError)


def test_told_functions_can_be_awaited() -> None:
    rt = runtime(double=lambda data: data["k"] * 2)
    told = [rt.tell("double", {"input": {"k": k}}) for k in range(3)]

    assert asyncio.run(rt.waitResults(told)) == [0, 2, 4]


def test_tell_wants_the_input_under_its_key() -> None:
    with pytest.raises(ValueError, match="under the key 'input'"):
        runtime(double=len).tell("double", {"k": 1})


def test_a_function_keeps_values_in_storage() -> None:
    @function
    def remember(rt: Runtime) -> Any:
        rt.storage.put("seen", rt.input())
        return rt.storage.get("seen")

    assert remember.export()({"x": 1}) == {"x": 1}


def test_a_request_does_not_show_its_input() -> None:
    assert "secret" not in f"{Metadata('1', {'x': 'secret'}, None, {}, 'invoke', None, None)}"


class OwnRuntime(Runtime):
    """The least a platform defines."""

    def input(self) -> Any:
        return {}

    def output(self, _out: Any) -> Any:
        return _out

    def call(self, fnName: str, fnParams: Any) -> Any:
        return fnName, fnParams

    def tell(self, fnName: str, fnParams: Any) -> Any:
        return None


def test_a_runtime_of_ones_own_may_have_no_storage() -> None:
    with pytest.raises(RuntimeError, match="OwnRuntime has no storage"):
        _ = OwnRuntime().storage
    assert OwnRuntime().metadata() is None


def test_a_runtime_answers_with_the_storage_it_is_given() -> None:
    rt = runtime()
    replaced: Any = object()
    rt._storage = replaced

    assert rt.storage is replaced


def test_a_storage_must_define_every_method() -> None:
    class Half(StorageMethods):
        def put(self, filename: str, data: Any) -> None: ...

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
