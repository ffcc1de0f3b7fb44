"""`Workflow`: the builder with which the body of a workflow makes its graph."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from lucas_storage._tracebacks import shortened
from lucas_storage.embedded.errors import missing_input
from lucas_storage.embedded.functions import Function
from lucas_storage.embedded.instances import ActorInstance
from lucas_storage.embedded.workflow.dag import DAG, ActorNode, ControlNode, DataNode
from lucas_storage.embedded.workflow.executor import Executor
from lucas_storage.embedded.workflow.ld import UNKNOWN, Lambda
from lucas_storage.embedded.workflow.route import RouteGroupFunc
from lucas_storage.embedded.workflow.steps import GatherStep, LocalStep, MethodStep, RemoteStep, same
from lucas_storage.engine.nested_values import found_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.runtime.runtime import Runtime
    from lucas_storage.embedded.workflow.roles import Node
    from lucas_storage.embedded.workflow.route import Route


class WorkflowInput:
    """The input of a workflow, read by name while the graph is built."""

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow

    def __getitem__(self, key: str) -> Lambda:
        """Return the Lambda of a required input."""
        return self._workflow._new_input(key, UNKNOWN)

    def get(self, key: str, default_val: Any = None) -> Lambda:
        """Return the Lambda of an input with a default."""
        return self._workflow._new_input(key, default_val)

    def __iter__(self) -> NoReturn:
        """Raise `TypeError`: `[]` accepts every name, so Python would iterate for ever."""
        message = "The names of the inputs are known only when the workflow runs, so read them by wf.input()['name']"
        raise TypeError(message)

    def __contains__(self, key: object) -> NoReturn:
        """Raise `TypeError`, as iteration does."""
        self.__iter__()


class Workflow:
    """One graph, with methods to build and run it; every run of a decorated workflow has one of its own.

    Args:
        route: The registered functions.
        name: Name of the workflow in messages.
    """

    def __init__(self, route: Route | None = None, name: str | None = None) -> None:
        self.route = route
        self.name = name or "workflow"
        self.dag = DAG(self)
        self.frt: Runtime | None = None
        self.params: dict[str, Lambda] = {}
        self._inputs: list[tuple[str, Any, DataNode]] = []
        self._end: DataNode | None = None
        self._executor_cls: Callable[[DAG], Any] | None = None
        # Held during a run, and never waited for: two runs would mix their values in the one graph.
        self._running = threading.Lock()

    def setRuntime(self, frt: Runtime) -> None:
        """Set the runtime that gives the input and calls functions."""
        self.frt = frt

    def getRuntime(self) -> Runtime:
        """Return the runtime.

        Raises:
            RuntimeError: None was set.
        """
        if self.frt is None:
            message = f"The workflow {self.name!r} has no runtime, so run it through export() or call setRuntime first"
            raise RuntimeError(message)
        return self.frt

    def setExecutor(self, executor_cls: Callable[[DAG], Any]) -> None:
        """Set the class that runs the graph, as in `executor_cls(dag).execute()`."""
        self._executor_cls = executor_cls

    def input(self) -> WorkflowInput:
        """Return the input of the workflow, read by `[name]` or `.get(name, default)`."""
        return WorkflowInput(self)

    def call(self, fn_name: str, fn_params: Mapping[str, Any]) -> Lambda:
        """Add a step that calls a registered function, and return the Lambda of its result.

        The function may be registered later, but before the step runs.

        Args:
            fn_name: The function's name, or that of a group, which chooses one of its functions now.
            fn_params: Its input: constants, Lambdas, or lists, tuples and dicts that hold Lambdas.

        Raises:
            TypeError: `fn_name` is no name, or `fn_params` is no dict.
            ValueError: A Lambda belongs to another run or workflow.
        """
        return self._remote(fn_name, fn_params, "remote")

    def map(self, fn_name: str, fn_params: Mapping[str, Any]) -> Lambda:
        """Add a step as `call` does; a distributed platform may split lists, this engine passes them whole."""
        return self._remote(fn_name, fn_params, "remote_map")

    def call_method(self, obj: ActorInstance, method_name: str, fn_params: Mapping[str, Any]) -> Lambda:
        """Add a step that calls a method of an object, and return the Lambda of its result.

        Calls of one object run one at a time, in the order in which their arguments become known; for another order,
        pass the result of the first call to the second.

        Args:
            obj: The result of `export()` of a class decorated with `@actor`.
            method_name: The method's name.
            fn_params: Its arguments, as `call` takes them.

        Raises:
            TypeError: `obj` is no such object, `fn_params` is no dict, or the attribute is no method.
            AttributeError: The object has no such method.
            ValueError: A Lambda belongs to another run or workflow.
        """
        if not isinstance(obj, ActorInstance):
            message = f"wf.call_method takes what export() of a class with @actor makes, not {type(obj).__name__}"
            raise TypeError(message)
        # Looked up now, so that a misspelled name is reported in the body of the workflow.
        obj.method(method_name)
        name = f"{obj.get_class_name()}.{method_name}"
        return self._step(ActorNode(obj, MethodStep(obj, method_name), name, "remote"), _by_parameter(name, fn_params))

    def func(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Lambda:
        """Add a step that calls `fn` in the process of the executor, and return the Lambda of its result.

        `fn` gets values, not Lambdas. It may add steps (`wf.call(…)`) and return their Lambdas, also inside containers.

        Raises:
            TypeError: `fn` cannot be called.
            ValueError: A Lambda belongs to another run or workflow.
        """
        if isinstance(fn, Function) or not callable(fn):
            message = "wf.func takes a plain function; one decorated with @function is called by name, with wf.call"
            raise TypeError(message)
        name = getattr(fn, "__name__", type(fn).__name__)
        return self._step(ControlNode(LocalStep(fn), name, "local"), {**dict(enumerate(args)), **kwargs})

    def catch(self, ld: Lambda) -> Lambda:
        """Let operators on `ld` add their steps to this workflow, and return it."""
        return ld.becatch(self)

    def end_with(self, ld: Any) -> None:
        """Make `ld`, a Lambda or any value, the value of the workflow."""
        if self._end is not None:
            self._end._is_end_node = False
        self._end = self._node_of(self._as_lambda(ld))
        self._end._is_end_node = True

    def execute(self) -> Any:
        """Run the graph on the runtime that was set; afterwards it is as before and can be run again.

        Returns:
            The workflow's value.

        Raises:
            MissingInputError: The runtime's input lacks a name that is read by `[name]`. No step was started.
            RuntimeError: There is no runtime, or this very graph is being run.
            Exception: Whatever a step raises, as it is.
        """
        with shortened:
            return self._execute(self.getRuntime())

    def valicate(self) -> DAG:
        """Return the graph."""
        return self.dag

    def _execute(self, runtime: Runtime) -> Any:
        if not self._running.acquire(blocking=False):
            message = f"The workflow {self.name!r} is running on this graph; generate() and export() give a run its own"
            raise RuntimeError(message)
        try:
            # Right before the run, so that `reset` removes exactly the steps that the run adds.
            self.dag.seal()
            self._take(runtime.input())
            return (self._executor_cls or Executor)(self.dag).execute()
        finally:
            self.dag.reset()
            self._running.release()

    def _take(self, given: Mapping[str, Any] | None) -> None:
        given = {} if given is None else given
        if not isinstance(given, Mapping):
            message = f"The workflow {self.name!r} takes its inputs as a dict by name, not {type(given).__name__}"
            raise TypeError(message)
        for key, default, node in self._inputs:
            # Before any step is started, so that no step runs for nothing.
            if key not in given and default is UNKNOWN:
                raise missing_input(self.name, key, given)
            node.set_value(given.get(key, default))

    def _new_input(self, key: str, default: Any) -> Lambda:
        ld = self.catch(Lambda())
        self._inputs.append((key, default, self._node_of(ld)))
        self.params.setdefault(key, ld)
        return ld

    def _remote(self, name: str, params: Mapping[str, Any], kind: str) -> Lambda:
        if not isinstance(name, str):
            raise TypeError(f"wf.call takes the name of a function as text, not {type(name).__name__}")
        params = _by_parameter(name, params)
        name = self._chosen(name)
        return self._step(ControlNode(RemoteStep(self, name), name, kind), params)

    def _chosen(self, name: str) -> str:
        """Return the function that a call goes to: the named one, or one of the named group."""
        entry = self.route.find(name) if self.route is not None else None
        if not isinstance(entry, RouteGroupFunc) or entry.group_func is None:
            return name
        # Chosen while the graph is built, so that each call of a run goes to one of the copies in turn.
        return str(entry.group_func()._config["name"])

    def _step(self, step: ControlNode, arguments: Mapping[Any, Any]) -> Lambda:
        for key, value in arguments.items():
            self._give(step, key, value)
        result = Lambda()
        node = DataNode(result)
        node.set_pre_control_node(step)
        step.set_data_node(node)
        self.dag.add_node(step)
        return self.catch(result)

    def _give(self, step: ControlNode, key: Any, value: Any) -> None:
        ld = self._as_lambda(value)
        if ld in step._ld_to_key:
            # A step finds its arguments by their Lambdas, so the second use of one needs a Lambda of its own.
            ld = self._passing(same, "same", [ld])
        node = self._node_of(ld)
        step.defParams(ld, key)
        step.add_pre_data_node(node)
        node.add_succ_control_node(step)

    def _as_lambda(self, value: Any) -> Lambda:
        if isinstance(value, WorkflowInput):
            raise TypeError("The input of a workflow is passed on value by value, as wf.input()['name']")
        if isinstance(value, Lambda):
            node = value.getDataNode()
            # Executors pass values on when they become known; a step that is added later gets the value itself.
            return Lambda(value.value) if node is not None and node._done and self._owns(node) else value
        inner = found_in(value, Lambda)
        return self._passing(GatherStep(value, inner), "gather", inner) if inner else Lambda(value)

    def _passing(self, fn: Callable[[Mapping[Any, Any]], Any], name: str, values: list[Lambda]) -> Lambda:
        step = ControlNode(fn, name, "local")
        step._passes_refs = True
        return self._step(step, dict(enumerate(values)))

    def _node_of(self, ld: Lambda) -> DataNode:
        node = DataNode.of(ld)
        if not self._owns(node):
            message = f"A step of {self.name!r} was given a value of another run or workflow; pass it as an input"
            raise ValueError(message)
        self.dag.add_node(node)
        return node

    def _owns(self, node: Node) -> bool:
        return node.belong_dag is None or node.belong_dag is self.dag


def _by_parameter(name: str, params: object) -> Mapping[str, Any]:
    if isinstance(params, Mapping):
        return params
    raise TypeError(f"A call takes the input of {name!r} as a dict by parameter, not {type(params).__name__}")
