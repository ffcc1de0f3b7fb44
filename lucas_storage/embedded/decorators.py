"""`@function`, `@actor`, `@workflow` and `create_handler`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, overload

from lucas_storage._tracebacks import shortened
from lucas_storage.embedded.classes import ActorClass, ActorConfig
from lucas_storage.embedded.errors import needs_genuine
from lucas_storage.embedded.functions import Function, FunctionConfig
from lucas_storage.embedded.providers import actor_class, function_class
from lucas_storage.embedded.utils.config import PROVIDER_VARIABLE, get_function_container_config
from lucas_storage.embedded.workflow.context import WorkflowContext
from lucas_storage.embedded.workflow.route import routeBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.workflow.dag import DAG
    from lucas_storage.embedded.workflow.workflow import Workflow


@overload
def function(fn: Callable[..., Any], /) -> Function: ...
@overload
def function(**config: Any) -> Callable[[Callable[..., Any]], Function]: ...
def function(
    fn: Callable[..., Any] | None = None, /, **config: Any
) -> Function | Callable[[Callable[..., Any]], Function]:
    """Register a function so that workflows can call it by name: `@function` or `@function(name=…, …)`.

    The decorated name becomes a `Function`; `export()` returns its handler. A later function of the same name replaces
    it.

    Args:
        fn: The function.
        config: All keywords reach the `Function`. Read here are `name`, `provider` (else the environment's `provider`,
            else `local-once`) and `wrapper`, a subclass of `Function` that is used whatever the provider is.

    Raises:
        TypeError: The decorated object cannot be called, or `wrapper` is no subclass of `Function`.
        RuntimeError: The provider needs genuine Lucas or a wrapper.
        ValueError: The provider is unknown and there is no wrapper.
    """
    if fn is None:
        return lambda decorated: _register(decorated, config)
    return _register(fn, config)


def _register(fn: Callable[..., Any], given: dict[str, Any]) -> Function:
    if isinstance(fn, Function) or not callable(fn):
        raise TypeError(f"@function decorates a function, not {type(fn).__name__}")
    config = FunctionConfig(
        {"name": getattr(fn, "__name__", type(fn).__name__), "cpu": 1, "memory": 128, "dependency": []} | given
    )
    # The environment decides at decoration, as in Lucas: one script runs on several platforms unchanged.
    config.setdefault("provider", _provider())
    made = function_class(config["provider"], config.get("wrapper"))(fn, config)
    # Registered when it is decorated, so that importing a module makes its functions callable by name.
    routeBuilder.func(config["name"]).set_handler(made.export()).set_function(made)
    return made


@overload
def actor(cls: type, /) -> ActorClass: ...
@overload
def actor(**config: Any) -> Callable[[type], ActorClass]: ...
def actor(cls: type | None = None, /, **config: Any) -> ActorClass | Callable[[type], ActorClass]:
    """Let a class make objects whose methods are steps of workflows: `@actor` or `@actor(name=…, …)`.

    The decorated name becomes an `ActorClass`; `export()` makes an object for `wf.call_method`.

    Args:
        cls: The class.
        config: All keywords reach the `ActorClass`. Read here are `name`, `provider` (else the environment's
            `provider`, else `local-once`) and `wrapper`, a subclass of `ActorClass` that wins over every provider's.

    Raises:
        TypeError: The decorated object is no class, or `wrapper` is no subclass of `ActorClass`.
        RuntimeError: The provider needs genuine Lucas or a wrapper.
        ValueError: The provider is unknown and there is no wrapper.
    """

    def decorate(decorated: type) -> ActorClass:
        if not isinstance(decorated, type):
            raise TypeError(f"@actor decorates a class, not {type(decorated).__name__}")
        given = ActorConfig({"name": decorated.__name__, "dependency": []} | config)
        given.setdefault("provider", _provider())
        return actor_class(given["provider"], given.get("wrapper"))(decorated, given)

    return decorate if cls is None else decorate(cls)


@overload
def durable(fn: Callable[..., Any], /) -> Function: ...
@overload
def durable(**config: Any) -> Callable[[Callable[..., Any]], Function]: ...
def durable(
    fn: Callable[..., Any] | None = None, /, **config: Any
) -> Function | Callable[[Callable[..., Any]], Function]:
    """Register a function that continues after each of its calls, as `@function` does.

    On `local-once` every call is made in this process and returns to its caller, so no state is written: if the process
    ends in between, the function begins anew.

    Raises:
        RuntimeError: The provider is another one, which needs genuine Lucas.
    """
    provider = config.get("provider") or _provider()
    if provider != "local-once":
        raise RuntimeError(needs_genuine(f"@durable with the provider {provider!r}"))
    if fn is None:
        return lambda decorated: _register(decorated, config)
    return _register(fn, config)


def recursive(fn: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """Return the function that `fn` returns when it is called with that same function, for recursion."""

    def itself(*args: Any, **kwargs: Any) -> Any:
        return made(*args, **kwargs)

    made = fn(itself)
    return made


@overload
def workflow(body: Callable[[Workflow], Any], /) -> WorkflowContext: ...
@overload
def workflow(
    *, provider: str | None = None, executor: Callable[[DAG], Any] | None = None
) -> Callable[[Callable[[Workflow], Any]], WorkflowContext]: ...
def workflow(
    body: Callable[[Workflow], Any] | None = None,
    /,
    *,
    provider: str | None = None,
    executor: Callable[[DAG], Any] | None = None,
) -> WorkflowContext | Callable[[Callable[[Workflow], Any]], WorkflowContext]:
    """Make a workflow of the function that describes it. `@workflow` or `@workflow(executor=…, provider=…)`.

    The body is run once now, which reports mistakes in it, and once for every run.

    Args:
        body: Called with a `Workflow`; its result is the workflow's value.
        provider: The platform it is exported for; else the environment's `provider`, else `local-once`.
        executor: The class that runs the graph, as in `executor(dag).execute()`.
    """

    def decorate(decorated: Callable[[Workflow], Any]) -> WorkflowContext:
        with shortened:
            context = WorkflowContext(decorated, provider or _provider(), routeBuilder.build(), executor)
        routeBuilder.workflow(decorated.__name__).set_workflow(context)
        return context

    return decorate if body is None else decorate(body)


def create_handler(fn_or_workflow: Function | WorkflowContext) -> Callable[..., Any]:
    """Return the handler that a platform calls for one request.

    For a function, the result of `export()`. For a workflow, a handler with the signature of the environment's
    `provider`, or of the workflow's own when the environment names none: `handler(data, executor=None)` or, for
    knative, `handler(metadata)`.

    Raises:
        TypeError: The argument is neither.
        RuntimeError: The platform needs genuine Lucas, or an executor that the workflow does not name.
        NotImplementedError: The platform is unknown.
    """
    if isinstance(fn_or_workflow, Function):
        return fn_or_workflow.export()
    if isinstance(fn_or_workflow, WorkflowContext):
        return fn_or_workflow.handler(os.environ.get(PROVIDER_VARIABLE, fn_or_workflow._provider))
    raise TypeError(f"create_handler takes what @function or @workflow made, not {type(fn_or_workflow).__name__}")


def _provider() -> str:
    return get_function_container_config()["provider"]
