"""Workflows that genuine Lucas and the embedded engine must agree on; a program that prints their results as JSON.

Given `embedded`, it installs the embedded engine first; otherwise `lucas` is whatever is on the path. Those marked
`stock` run on the engine's own executor and are ones that genuine Lucas does right; the others run on
`StorageExecutor`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from lucas_storage.executor import StorageExecutor

if sys.argv[1] == "embedded":
    import without_lucas  # type: ignore[import-not-found, unused-ignore]  # noqa: F401 -- imported for what it does

    from lucas_storage.embedded import install

    install()

from lucas import Function, create_handler, function, routeBuilder, workflow  # type: ignore[import-not-found, unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Callable

CASES: dict[str, Callable[[], Any]] = {}


def case(fn: Callable[[], Any]) -> Callable[[], Any]:
    """Let `fn` be a case under its own name."""
    CASES[fn.__name__] = fn
    return fn


def stock(body: Callable[..., Any]) -> Callable[..., Any]:
    """Return `body` as a workflow on the engine's own executor."""
    return workflow(body).export()  # type: ignore[no-any-return]


def storing(body: Callable[..., Any]) -> Callable[..., Any]:
    """Return `body` as a workflow on `StorageExecutor`."""
    return workflow(executor=StorageExecutor)(body).export()  # type: ignore[no-any-return]


@function
def echo(rt: Any) -> Any:
    return rt.input()


@function
def times10(rt: Any) -> Any:
    return rt.output(rt.input()["x"] * 10)


@function
def nothing(rt: Any) -> None: ...


@function
def odd(rt: Any) -> Any:
    if rt.input()["x"] % 2 == 0:
        raise ValueError("even")
    return rt.input()["x"]


@function(name="renamed", venv="v", cpu=2)
def original(rt: Any) -> Any:
    return rt.call("times10", {"x": rt.input()["x"]}) + 1


@function
def store(rt: Any) -> Any:
    for name in ("a", "b"):
        rt.storage.put(name, {"name": name})
    return sorted(rt.storage.list()), rt.storage.get("a"), rt.storage.get("missing", timeout=1)


@function(name="generates")
def generates(rt: Any) -> Any:
    yield from range(rt.input()["n"])


@case
def chain() -> Any:
    return stock(lambda wf: wf.call("times10", {"x": wf.call("times10", {"x": wf.input()["n"]})}))({"n": 2})


@case
def empty_values() -> Any:
    def passed(value: Any) -> Any:
        return stock(lambda wf: wf.call("echo", {"v": wf.call("echo", {"v": value})}))({})

    return [passed(value) for value in (0, "", False, {}, [])]


@case
def none_as_an_input() -> Any:
    return stock(lambda wf: wf.call("echo", {"x": wf.input()["x"]}))({"x": None})


@case
def operators_and_arguments() -> Any:
    def body(wf: Any) -> Any:
        given = wf.input()
        total = wf.func(lambda a, b, c=0: a + b + c, given["x"], 10, c=given["y"])
        return wf.func(lambda d: {"k": [d, d * 2]}, total + 5)["k"][1]

    return stock(body)({"x": 1, "y": 100})


@case
def map_fork_join() -> Any:
    def on_list(use: Callable[[Any], Any]) -> Any:
        return stock(lambda wf: use(wf.func(lambda n: list(range(n)), wf.input()["n"])))({"n": 4})

    return [
        on_list(lambda values: values.map(lambda v: v * v)),
        on_list(lambda values: values.fork(2)),
        on_list(lambda values: values.fork(2).join(lambda v: v)),
    ]


@case
def map_of_a_function() -> Any:
    return stock(lambda wf: wf.map("echo", {"x": wf.input()["xs"]}))({"xs": [1, 2]})


@case
def steps_added_while_running() -> Any:
    def body(wf: Any) -> Any:
        return wf.func(lambda n: wf.call("times10" if n < 10 else "echo", {"x": n}), wf.input()["n"])

    return [stock(body)({"n": 2}), stock(body)({"n": 11})]


@case
def functions_by_name() -> Any:
    config = original._config
    if not isinstance(config, dict):  # an object with attributes, up to 340b584
        config = vars(config)
    config = {key: config[key] for key in ("name", "venv", "cpu", "memory", "dependency", "provider")}
    return [original.export()({"x": 1}), config, create_handler(original)({"x": 2}), sorted(vars(routeBuilder)) != []]


@case
def a_custom_provider() -> Any:
    class ByName(Function):  # type: ignore[misc]
        def _transformfunction(self, fn: Callable[..., Any]) -> Callable[..., Any]:
            return lambda data: fn(**data)

    @function(provider="mine", wrapper=ByName)
    def add(a: int, b: int = 2) -> int:
        return a + b

    main = workflow(provider="mine")(lambda wf: wf.call("add", {"a": wf.input()["a"]}))
    return [stock(lambda wf: wf.call("add", {"a": wf.input()["a"]}))({"a": 1}), main.export(len) is len]


@case
def storage() -> Any:
    return store.export()({})


@case
def reruns() -> Any:
    def body(wf: Any) -> Any:
        given = wf.input()
        return wf.call("echo", {"a": wf.call("times10", {"x": given["n"]}), "b": given["n"]})

    main = storing(body)
    return [main({"n": n}) for n in (1, 5, 2)]


@case
def nones() -> Any:
    def body(wf: Any) -> Any:
        wf.call("nothing", {"x": 1})
        return wf.call("echo", {"made": wf.call("nothing", {"x": None}), "constant": None, "given": wf.input()["n"]})

    return [storing(body)({"n": None}), storing(lambda _: None)({})]


@case
def an_error_between_runs() -> Any:
    main = storing(lambda wf: wf.call("odd", {"x": wf.input()["n"]}))
    return [_outcome(main, {"n": n}) for n in (1, 2, 3)]


@case
def an_error_beside_another_branch() -> Any:
    def body(wf: Any) -> Any:
        return wf.func(lambda *made: list(made), wf.call("odd", {"x": wf.input()["n"]}), wf.call("times10", {"x": 1}))

    main = storing(body)
    return [_outcome(main, {"n": n}) for n in (2, 1, 4, 3)]


@case
def repeated_maps() -> Any:
    context = workflow(executor=StorageExecutor)(
        lambda wf: wf.func(sum, wf.func(lambda n: list(range(n)), wf.input()["n"]).map(lambda v: v * v))
    )
    built = len(context.generate().dag.nodes)
    main = context.export()
    return [main({"n": 4}), main({"n": 3}), len(context.generate().dag.nodes) == built]


@case
def a_map_of_calls() -> Any:
    main = storing(lambda wf: wf.catch(wf.input()["ns"]).map(lambda n: wf.call("times10", {"x": n})))
    return [main({"ns": [1, 2]}), main({"ns": []}), main({"ns": [3]})]


@case
def forks_and_joins() -> Any:
    main = storing(lambda wf: wf.catch(wf.input()["ns"]).fork(2).join(lambda v: v))
    return [main({"ns": [1, 2, 3, 4]}), main({"ns": [5, 6]})]


@case
def repeated_late_steps() -> Any:
    def body(wf: Any) -> Any:
        early = wf.call("times10", {"x": 1})
        return wf.func(lambda n: wf.call("echo", {"n": n, "early": early}), wf.input()["n"])

    main = storing(body)
    return [main({"n": n}) for n in (1, 2)]


@case
def results_in_containers() -> Any:
    def body(wf: Any) -> Any:
        made = wf.call("times10", {"x": wf.input()["n"]})
        return {"made": made, "passed": wf.call("echo", {"v": [made, {"k": 1}]})}

    main = storing(body)
    return [main({"n": n}) for n in (1, 2)]


@case
def generators() -> Any:
    main = storing(lambda wf: wf.func(sum, wf.call("generates", {"n": wf.input()["n"]})))
    return [main({"n": 4}), main({"n": 3})]


def _outcome(main: Callable[..., Any], data: dict[str, Any]) -> Any:
    try:
        return main(data)
    except ValueError as error:
        return [type(error).__name__, str(error), *getattr(error, "__notes__", [])]


if __name__ == "__main__":
    print(json.dumps({name: run() for name, run in CASES.items()}))
