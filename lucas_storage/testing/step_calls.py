"""Calls of single steps, as the engine of a workflow makes them."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, cast

from lucas_storage._tracebacks import shortened
from lucas_storage.artifacts import scratch
from lucas_storage.engine import adapter
from lucas_storage.steps.contract import ShippedContract, contract_of_shim
from lucas_storage.values import wire_form
from lucas_storage.values.loading import incoming
from lucas_storage.values.storing import outgoing
from lucas_storage.values.storing.policy import ByOptions

__all__ = ["call", "call_for_refs"]


def call(step: Any, /, *args: Any, **arguments: Any) -> Any:
    """Call one step as a workflow does, without a workflow, and return its result as a next step would get it.

    Arguments travel as they do between steps: a `Path`, and each value that is too large or of a type that an engine
    cannot carry, is stored, and its reference arrives; a reference may be given as well. The step gets values as its
    annotations ask, and a `Storage`. Its result is checked, stored, and read back. The store is that of the settings in
    force, such as those of the fixture ``storage``; a step that is given and returns small data needs none.

    Args:
        step: What ``@function`` or ``@with_storage`` made, of genuine Lucas or of the embedded engine, or a method of
            an object whose class has such a method. It runs in this process, whatever its provider is.
        args: Its arguments by position, without the injected ones. A step in rt style takes its whole input.
        arguments: Its arguments by name; of a step in rt style, the items of its input.

    Raises:
        TypeError: `step` is no step, or arguments are missing, surplus, or do not convert to their annotations.
        ArtifactError: An argument cannot be stored or read, or the result not be stored.
        Exception: Whatever the step raises, as it is.
    """
    with shortened:
        return incoming.value_of(_travelling(step, args, arguments))


def call_for_refs(step: Any, /, *args: Any, **arguments: Any) -> Any:
    """Call one step as `call` does, and return its result as it travels, each reference in it as an `ArtifactRef`."""
    with shortened:
        return wire_form.with_refs(_travelling(step, args, arguments))


def _travelling(step: Any, args: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
    """Return the result of a step as it travels."""
    callee = _Callee(step)
    given = callee.inputs(args, arguments)
    # Arguments may be generators that use scratch directories; these go as soon as the arguments are stored.
    with scratch.step():
        travelling = outgoing.offload_each(given, ByOptions())
    return callee(travelling)


class _Callee:
    """A step, however it is called.

    Raises:
        TypeError: It is none.
    """

    def __init__(self, step: Any) -> None:
        self._step = step
        self._function = _function_of(step)
        self._name = _name(step)
        contract = _contract_of(self._function)
        # A function in rt style, and one that only its engine knows how to call, is called by the engine.
        self._takes_input = contract is None or contract["runtime"]
        names = [] if contract is None else [name for name, _, _ in contract["parameters"]]
        self._names = names[isinstance(self._function, MethodType) :]

    def inputs(self, args: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
        """Return the arguments by name, or the whole input of a step in rt style."""
        if not self._takes_input:
            return self._by_name(args, arguments)
        if not args:
            return arguments
        if len(args) > 1 or arguments:
            raise TypeError(f"{self._name} takes a runtime; pass its whole input, or the items of it by name")
        return args[0]

    def _by_name(self, args: tuple[Any, ...], arguments: dict[str, Any]) -> dict[str, Any]:
        if len(args) > len(self._names):
            raise TypeError(f"{self._name} takes {len(self._names)} arguments by position, and got {len(args)}")
        given = dict(zip(self._names, args, strict=False))
        for name in given.keys() & arguments.keys():
            raise TypeError(f"{self._name} got the argument {name!r} twice; pass it once")
        return {**given, **arguments}

    def __call__(self, inputs: Any) -> Any:
        """Call the step with inputs that travel, and return its result as it travels."""
        if not self._takes_input:
            return self._function(**inputs)
        return self._step.export()(inputs) if hasattr(self._step, "export") else self._step(inputs)


def _function_of(step: Any) -> Callable[..., Any]:
    within: Callable[..., Any] | None = adapter.function_within(step)
    if within is not None:
        return within
    if _contract_of(step) is not None:
        return cast("Callable[..., Any]", step)
    if adapter.is_workflow(step):
        raise TypeError(f"call takes one step, and lucas_storage.run takes {_name(step)} as a whole")
    raise TypeError(f"call takes a step, as @function or @with_storage makes it, not {_name(step)}")


def _contract_of(function: object) -> ShippedContract | None:
    return contract_of_shim(function.__func__ if isinstance(function, MethodType) else function)


def _name(thing: Any) -> str:
    if adapter.is_workflow(thing):
        return f"the workflow {adapter.name_of(thing)!r}"
    name = getattr(adapter.function_within(thing) or thing, "__name__", None)
    return f"a {type(thing).__name__}" if name is None else repr(name)
