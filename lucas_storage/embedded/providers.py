"""The classes of functions and of actor classes for each provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from lucas_storage._tracebacks import seam, shortened
from lucas_storage.embedded.classes import ActorClass, LocalOnceClass
from lucas_storage.embedded.errors import needs_genuine
from lucas_storage.embedded.functions import Function
from lucas_storage.embedded.platforms import platform
from lucas_storage.embedded.runtime.local_once_runtime import LocalOnceRuntime
from lucas_storage.embedded.workflow.route import routeBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

_Held = TypeVar("_Held")

NEEDS_LUCAS = ("aliyun", "cluster", "knative", "local")


class LocalOnceFunction(Function):
    """A function that runs in the caller's process, with a runtime that knows all functions registered there."""

    def _transformfunction(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @seam
        def call(runtime: LocalOnceRuntime) -> Any:
            return fn(runtime)

        def handler(data: Any) -> Any:
            with shortened:
                # All functions known now, not at decoration: those registered later can be called, too.
                return call(LocalOnceRuntime.serving(data, routeBuilder.build().handlers()))

        return handler


def function_class(provider: str, wrapper: type[Function] | None) -> type[Function]:
    """Return the class for functions of `provider`; a wrapper wins over every provider's own.

    Raises:
        TypeError: `wrapper` is no subclass of `Function`.
        RuntimeError: The provider needs genuine Lucas or a wrapper.
        ValueError: The provider is unknown and there is no wrapper.
        ImportError: The provider is `actor`, and no installed package brings it.
    """
    if wrapper is not None:
        return _checked(wrapper, Function)
    if provider == "local-once":
        return LocalOnceFunction
    if provider == "actor":
        return _checked(platform(provider).ActorFunction, Function)
    raise _no_class(provider)


def actor_class(provider: str, wrapper: type[ActorClass] | None) -> type[ActorClass]:
    """Return the class for decorated classes of `provider`; raises as `function_class` does."""
    if wrapper is not None:
        return _checked(wrapper, ActorClass)
    if provider == "local-once":
        return LocalOnceClass
    if provider == "actor":
        return _checked(platform(provider).ActorRuntimeClass, ActorClass)
    raise _no_class(provider)


def _no_class(provider: str) -> Exception:
    if provider in NEEDS_LUCAS:
        return RuntimeError(needs_genuine(f"The provider {provider!r}") + "; without it, 'local-once' runs here")
    return ValueError(f"The provider {provider!r} is unknown, so give its class as wrapper=, or use 'local-once'")


def _checked(wrapper: type[_Held], base: type[_Held]) -> type[_Held]:
    if isinstance(wrapper, type) and issubclass(wrapper, base):
        return wrapper
    raise TypeError(f"A wrapper must be a subclass of lucas.{base.__name__}, and {wrapper!r} is none")
