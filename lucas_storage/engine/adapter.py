"""The adapter to Lucas: reads the private attributes of workflows and functions; `graph` reads those of nodes.

Genuine Lucas and the embedded engine are distinguished by the names of their classes, and neither is imported: these
functions must work in a worker that has only the plugin.
"""

# ruff: noqa: SLF001 -- Lucas has these facts in attributes of these names only
from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final

from actorc.storage.context_variables import bound
from lucas_storage.class_names import package_of

REQUIRED: Final = object()
"""The default of an input that has none."""

_PACKAGES: Final = ("lucas", "lucas_storage")
_REMOTE: Final = ("actor", "cluster")
"""Providers whose functions only their own executor can call."""
_ELSEWHERE: Final = ("aliyun", "knative", "local")
"""Providers whose platform calls the workflow, so that it cannot be run from here."""

_running: ContextVar[tuple[Any, ...]] = ContextVar("lucas_storage_running", default=())
"""The graphs being run around this point, outermost first; steps see it, whatever thread they run on."""
_runs: weakref.WeakKeyDictionary[Any, threading.RLock] = weakref.WeakKeyDictionary()
_defaults: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
_registry = threading.Lock()
"""Guards the two tables above, which are weak so that a workflow of a notebook can be collected."""


def is_lambda(value: object) -> bool:
    """Return whether `value` is a placeholder of a workflow; by its class alone, since it has every attribute."""
    kind = type(value)
    return kind.__name__ == "Lambda" and _is_ours(kind)


def function_within(value: object) -> Any | None:
    """Return the function that ``@function`` decorated to make `value`, None if `value` was not made so."""
    if not _is_ours(type(value)) or not hasattr(value, "__dict__"):
        return None
    attributes = vars(value)
    # Older versions of Lucas keep it in the handler alone.
    return attributes["_origin_fn"] if "_origin_fn" in attributes else enclosed(attributes.get("_fn"))


def enclosed(handler: Any) -> Any | None:
    """Return the function that a handler of Lucas calls, None if it is no such handler."""
    names = getattr(getattr(handler, "__code__", None), "co_freevars", ())
    return handler.__closure__[names.index("fn")].cell_contents if "fn" in names else None


def is_runtime(value: object) -> bool:
    """Return whether `value` is the runtime that an engine passes to a function: it has ``input()`` and ``call()``."""
    if isinstance(value, (dict, list, str, bytes)) or is_lambda(value):
        return False
    return callable(getattr(value, "input", None)) and callable(getattr(value, "call", None))


def is_sent_on(dag: Any) -> bool:
    """Return whether the value of a graph leaves this process, because its platform called the workflow."""
    runtime = getattr(getattr(dag, "workflow_", None), "frt", None)
    return getattr(runtime, "name", "") in _ELSEWHERE


def is_workflow(value: object) -> bool:
    """Return whether `value` is a workflow, as ``@workflow`` makes it."""
    return type(value).__name__ == "WorkflowContext" and _is_ours(type(value))


def running_workflow() -> str | None:
    """Return the name of the workflow that `execute` is running in this context."""
    graphs = _running.get()
    return graphs[-1].name if graphs else None


def within(workflow: str) -> AbstractContextManager[None]:
    """Make the body part of a run of a workflow whose graph is in another process."""
    return bound(_running, (SimpleNamespace(name=workflow),))


def name_of(context: Any) -> str:
    """Return the name of a workflow."""
    return str(context._body.__name__ if _is_embedded(context) else context.generate().name)


def graph_of(context: Any) -> Any:
    """Return the graph for one run of a workflow. The embedded engine runs the body for it; genuine Lucas has one."""
    return context.generate()


def inputs_of(context: Any, graph: Any) -> dict[str, Any]:
    """Return the names of a workflow's inputs with their defaults, `REQUIRED` where there is none."""
    if _is_embedded(context):
        return {name: REQUIRED if type(default) is object else default for name, default, _ in graph._inputs}
    with _registry:
        if graph not in _defaults:
            # Kept, because genuine Lucas puts the inputs of a run where the defaults were.
            _defaults[graph] = {name: _default(graph, place) for name, place in graph.params.items()}
        return _defaults[graph]


def execute(
    context: Any,
    graph: Any,
    inputs: Mapping[str, Any],
    executor: Callable[[Any], Any],
    *,
    prepared: Callable[[Any], Any] = lambda executor: executor,
) -> Any:
    """Run a workflow on a graph without traces of earlier runs and return its value.

    Args:
        context: The workflow.
        graph: What `graph_of` returned for this run.
        inputs: Every input it needs.
        executor: Replaces the engine's stock executor; one that the workflow names itself is kept.
        prepared: Called with the executor class chosen; returns the factory to use in its place.

    Raises:
        ValueError: The workflow is for a platform that calls it from outside.
        RuntimeError: A step runs the workflow it belongs to, where all runs share one graph; or a cluster has no
            value for the result.
    """
    if context._provider in _ELSEWHERE:
        raise ValueError(
            f"a workflow of the provider {context._provider!r} is run by its platform; deploy it, "
            "or give @workflow provider='local-once' to run it here"
        )
    # The lock of `_exclusive` would let this in on the same thread, and the inner run would overwrite the inputs of the
    # outer one; on another thread the two would wait for each other.
    if any(graph is running for running in _running.get()):
        raise RuntimeError(f"a step of the workflow {graph.name!r} runs that workflow itself; give it one of its own")
    # In a context variable, which reaches the threads of the steps, so that a nested run is recognized there.
    with bound(_running, (*_running.get(), graph)):
        chosen = executor if _is_stock(graph, context) else graph._executor_cls
        chosen = chosen and prepared(chosen)
        if not _is_embedded(context):
            return _on_genuine(context, graph, chosen, inputs)
        return context.export()(dict(inputs)) if chosen is None else context.run_graph(graph, dict(inputs), chosen)


def _on_genuine(context: Any, graph: Any, executor: Any, inputs: Mapping[str, Any]) -> Any:
    with _exclusive(graph), _executor(graph, executor):
        value = context.export()(dict(inputs))
    # An error rather than None: the user's code would take the lost value for a result.
    if value is None and _is_lost(context, graph):
        raise RuntimeError(
            f"the cluster has no value for the result of the workflow {graph.name!r}, since its master was asked "
            "before it knew which node has it, or since its last step returned None without @with_storage; run it again"
        )
    return value


def _is_lost(context: Any, graph: Any) -> bool:
    """Return whether None means a lost value: genuine Lucas's cluster returns it if its master does not find one."""
    ends = (node for node in graph.dag.nodes if getattr(node, "_is_end_node", False))
    steps = (end.get_pre_control_node() for end in ends)
    return context._provider == "cluster" and any(step is not None and step._fn_type == "remote" for step in steps)


@contextmanager
def _exclusive(graph: Any) -> Iterator[None]:
    """Let one run at a time use a graph: genuine Lucas has one for all runs, and writes their inputs into it."""
    # Two threads that run a graph for the first time must get one lock.
    with _registry:
        lock = _runs.setdefault(graph, threading.RLock())
    with lock:
        yield


@contextmanager
def _executor(graph: Any, executor: Any) -> Iterator[None]:
    # Restored after the run, since genuine Lucas shares the graph with runs that are not ours.
    before = graph._executor_cls
    graph.setExecutor(executor)
    try:
        yield
    finally:
        graph.setExecutor(before)


def _is_stock(graph: Any, context: Any) -> bool:
    executor = graph._executor_cls
    if executor is None:
        return context._provider not in _REMOTE
    return bool(_is_ours(executor) and executor.__module__.endswith("workflow.executor"))


def _default(graph: Any, place: Any) -> Any:
    """Return the default of an input of genuine Lucas; after a run by Lucas itself the value there is no default."""
    has_one = place._dataNode._init_state["ready"] and graph.frt is None
    return place.value if has_one else REQUIRED


def _is_embedded(context: Any) -> bool:
    return package_of(type(context)) == "lucas_storage"


def _is_ours(kind: type) -> bool:
    return package_of(kind) in _PACKAGES
