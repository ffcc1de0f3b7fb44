"""Which class holds the functions of which provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucas_storage._tracebacks import seam, shortened
from lucas_storage.embedded.functions import Function
from lucas_storage.embedded.runtime.local_once_runtime import LocalOnceRuntime
from lucas_storage.embedded.workflow.route import routeBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS_LUCAS = ("actor", "aliyun", "cluster", "knative", "local")


class LocalOnceFunction(Function):
    """A function that runs where it is called, with a runtime that knows all functions of this process."""

    def _transformfunction(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @seam
        def call(runtime: LocalOnceRuntime) -> Any:
            return fn(runtime)

        def handler(data: Any) -> Any:
            with shortened:
                return call(LocalOnceRuntime.serving(data, routeBuilder.build().handlers()))

        return handler


def function_class(provider: str, wrapper: type[Function] | None) -> type[Function]:
    """Return the class for functions of `provider`; a wrapper wins over every provider's own.

    Raises:
        TypeError: `wrapper` is no subclass of `Function`.
        RuntimeError: The provider needs genuine Lucas or a wrapper.
        ValueError: The provider is unknown and there is no wrapper.
    """
    if wrapper is not None:
        return _checked(wrapper)
    if provider == "local-once":
        return LocalOnceFunction
    if provider in NEEDS_LUCAS:
        message = f"The provider {provider!r} needs genuine Lucas, or a class given as wrapper=; 'local-once' runs here"
        raise RuntimeError(message)
    message = f"The provider {provider!r} is unknown, so give its class as wrapper=, or use 'local-once'"
    raise ValueError(message)


def _checked(wrapper: type[Function]) -> type[Function]:
    if isinstance(wrapper, type) and issubclass(wrapper, Function):
        return wrapper
    message = f"A wrapper must be a subclass of lucas.Function, and {wrapper!r} is none"
    raise TypeError(message)
