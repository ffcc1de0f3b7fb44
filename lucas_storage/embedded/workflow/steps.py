"""The functions that control nodes run: each takes a dict of arguments and returns a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucas_storage._tracebacks import seam
from lucas_storage.embedded.workflow.ld import Lambda
from lucas_storage.engine.drained_generators import drained
from lucas_storage.engine.nested_values import replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lucas_storage.embedded.instances import ActorInstance
    from lucas_storage.embedded.workflow.roles import GraphOwner


class RemoteStep:
    """A registered function, called through the runtime of the workflow."""

    def __init__(self, workflow: GraphOwner, name: str) -> None:
        self._workflow = workflow
        self._name = name

    def __call__(self, event: Mapping[Any, Any]) -> Any:
        """Call the function with a copy of the dict, which it may change."""
        return drained(self._workflow.getRuntime().call(self._name, dict(event)))


class MethodStep:
    """A method of an object, called where the object lives."""

    def __init__(self, obj: ActorInstance, name: str) -> None:
        self._obj = obj
        self._name = name

    def __call__(self, event: Mapping[Any, Any]) -> Any:
        """Call the method with a copy of the dict."""
        return drained(self._obj.remote(self._name, dict(event)))


class LocalStep:
    """A plain function, called in the process of the executor; integer keys are its positional arguments."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn

    def __call__(self, event: Mapping[Any, Any]) -> Any:
        """Call the function with positional and named arguments."""
        # Sorted, since arguments arrive in the order in which their values become known.
        positional = [event[key] for key in sorted(key for key in event if isinstance(key, int))]
        named = {key: value for key, value in event.items() if isinstance(key, str)}
        return drained(self._call(*positional, **named))

    @seam
    def _call(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._fn(*args, **kwargs)


class GatherStep:
    """Builds a container from a template and the values of the Lambdas in it."""

    def __init__(self, template: Any, lambdas: list[Lambda]) -> None:
        self._template = template
        self._keys = {ld: key for key, ld in enumerate(lambdas)}

    def __call__(self, event: Mapping[Any, Any]) -> Any:
        """Return a new container with the values in it."""
        return replaced(self._template, Lambda, lambda ld: event[self._keys[ld]])


def same(event: Mapping[Any, Any]) -> Any:
    """Return the only argument."""
    (value,) = event.values()
    return value
