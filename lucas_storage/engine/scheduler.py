"""Scheduler: runs the graph of a Lucas workflow in parallel, repeatably, and without inspecting values.

It runs graphs of genuine Lucas and of the embedded engine, and imports neither.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
from collections import deque
from queue import Empty, SimpleQueue
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar

from lucas_storage._tracebacks import shortened
from lucas_storage.engine.graph import GraphSnapshot, exclusive, is_step, refuse_lost_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

    from lucas_storage.engine.graph import DataNode, Step

_CONTAINERS = (list, tuple, dict)

SIGNAL_SECONDS = 0.5
"""Longest delay of a Ctrl-C, in seconds."""


class GraphExecutor:
    """Runs every step once, as soon as its arguments are there; independent steps run at the same time.

    None is a value. A run leaves the graph as it was, so that the next one is right, whether it succeeded or not. When
    a step raises, no other is started, and the error is raised at once with a note that names the step; steps that are
    running then continue in the background, and their results are dropped. A generator that a step returns becomes a
    list.

    Args:
        dag: The graph of a Lucas workflow, its inputs set.
    """

    max_workers: ClassVar[int] = 8
    """Largest number of steps that run at the same time."""

    straggler_seconds: ClassVar[float] = 10.0
    """Seconds that a run waits for `wf.func` steps that a failed run of the same graph left behind."""

    def __init__(self, dag: Any) -> None:
        self.dag = dag

    def execute(self) -> Any:
        """Run the graph and return the workflow's value.

        Raises:
            ValueError: One value is given for several parameters of a step, and this Lucas would deliver only one of
                them. No step was started, unless the step was added by another one.
            RuntimeError: Steps wait for values that no step makes, the graph is being run already, or a step of an
                earlier run that failed does not end.
            BaseException: Whatever a step raises, as it is.
        """
        with shortened:
            return self._fetched(self._value())

    def _value(self) -> Any:
        with exclusive(self.dag):
            snapshot = GraphSnapshot.of(self.dag, self.straggler_seconds)
            run = _Run(self.dag, self)
            try:
                return run.result()
            finally:
                # While the claim is held: another run must not see the steps that this one added.
                snapshot.restore(run.local_threads())
                run.dismiss()

    def _called(self, step: Step, arguments: dict[Any, Any]) -> Any:
        """Call a registered function, on the step's thread, and return its result as other steps get it."""
        return step._fn(arguments)

    def _begun(self, step: Step, arguments: dict[Any, Any]) -> Future[Any] | None:  # noqa: ARG002 -- for subclasses
        """Begin the call of `_called` without waiting and return its future; None if it needs a thread."""
        return None

    def _fetched(self, value: Any) -> Any:
        """Return `value` as plain code and the workflow's caller get it; called on the thread of the step."""
        return value

    def _local_value(self, value: Any) -> Any:
        """Return the fetched argument `value` as a `wf.func` step gets it; called on the step's thread."""
        return value

    def _passed_value(self, value: Any) -> Any:
        """Return the result `value` of plain code as functions get it; called on their threads."""
        return value


class _Run:
    """One run: the values so far, and the steps that may start.

    Values are kept here and not in the graph, which genuine Lucas shares between runs. Only the thread of the run
    uses this object; the threads of the steps report through `_finished`, and add their own result to `_plain`.
    """

    def __init__(self, dag: Any, executor: GraphExecutor) -> None:
        self._dag = dag
        self._executor = executor
        self._plain: set[DataNode] = set()
        """Nodes whose values plain code made of fetched ones; they pass through `_passed_value` before a function."""
        self._workers = max(1, executor.max_workers)
        self._values: dict[DataNode, Any] = {}
        self._waiting: dict[Step | DataNode, set[DataNode]] = {}
        self._waited_for: dict[DataNode, list[Step | DataNode]] = {}
        self._unfilled: dict[DataNode, Any] = {}
        self._adopted: set[Any] = set()
        self._seen = 0
        self._ready: deque[Step] = deque()
        self._running: dict[Step, _Thread | None] = {}
        self._threads: list[_Thread] = []
        self._idle: list[_Thread] = []
        self._finished: SimpleQueue[tuple[Step, Any, BaseException | None]] = SimpleQueue()
        self._lambda_type = tuple({type(node._ld) for node in dag.nodes if not is_step(node)})

    def result(self) -> Any:
        """Run all steps and return the value of the end node."""
        self._adopt_new()
        while self._ready or self._running:
            self._start()
            self._finish(*self._next_finished())
            self._adopt_new()
        if self._waiting:
            raise RuntimeError(self._stuck())
        ends = (node for node in self._dag.nodes if not is_step(node) and node._is_end_node)
        return next((self._values[end] for end in ends), None)

    def local_threads(self) -> list[threading.Thread]:
        """Return the threads of the running `wf.func` steps, which could still add to the graph."""
        return [thread for step, thread in self._running.items() if thread is not None and step._fn_type == "local"]

    def dismiss(self) -> None:
        """End the threads of the run, each after its present step."""
        for thread in self._threads:
            thread.inbox.put(None)

    def _adopt_new(self) -> None:
        # A running wf.func may be in the middle of adding a step. Steps that it returns are adopted when it returns;
        # steps that it adds and does not return are adopted here, once no wf.func is running.
        if len(self._dag.nodes) > self._seen and not any(step._fn_type == "local" for step in self._running):
            new = self._dag.nodes[self._seen :]
            self._seen += len(new)
            self._adopt(new)

    def _adopt(self, roots: Iterable[Any], *, plain: bool = False) -> None:
        new = self._reached(roots)
        for step in filter(is_step, new):
            refuse_lost_argument(step)
            if not self._wait(step, step.get_pre_data_nodes()):
                self._ready.append(step)
        for node in new:
            if not is_step(node) and node.get_pre_control_node() is None:
                self._plain |= {node} if plain else set()
                self._take(node, node._ld.value)

    def _reached(self, roots: Iterable[Any]) -> list[Any]:
        """Return the nodes that `roots` depend on and that are new, themselves included."""
        # A loop and no recursion: a chain of steps may be longer than the stack is deep.
        reached, pending = [], deque(roots)
        while pending:
            node = pending.popleft()
            if node is not None and node not in self._adopted:
                self._adopted.add(node)
                reached.append(node)
                pending.extend(node.get_pre_data_nodes() if is_step(node) else [node.get_pre_control_node()])
        return reached

    def _wait(self, node: Any, places: Iterable[DataNode]) -> bool:
        """Let `node`, a step or a value, wait for the missing ones of `places`; return whether there are any."""
        missing = {place for place in places if place not in self._values}
        if missing:
            self._waiting[node] = missing
        for place in missing:
            self._waited_for.setdefault(place, []).append(node)
        return bool(missing)

    def _take(self, place: DataNode, value: Any) -> None:
        """Set a value that may hold Lambdas, whose values are set later."""
        inner = [ld._dataNode for ld in self._lambdas_in(value)]
        self._adopt(inner, plain=place in self._plain)
        if self._wait(place, inner):
            self._unfilled[place] = value
        else:
            self._complete(place, self._filled(value))

    def _complete(self, place: DataNode, value: Any) -> None:
        """Set a value, and the values that waited only for it; steps that waited only for these become ready."""
        pending = [(place, value)]
        while pending:
            known, full = pending.pop()
            self._values[known] = full
            for node in self._released_by(known):
                if is_step(node):
                    self._ready.append(node)
                else:
                    pending.append((node, self._filled(self._unfilled.pop(node))))

    def _released_by(self, place: DataNode) -> list[Any]:
        waiting = self._waited_for.pop(place, [])
        for node in waiting:
            self._waiting[node].discard(place)
        released = [node for node in waiting if not self._waiting[node]]
        for node in released:
            del self._waiting[node]
        return released

    def _start(self) -> None:
        while self._ready and len(self._running) < self._workers:
            step = self._ready.popleft()
            arguments = self._arguments(step)
            if self._begin(step, arguments):
                continue
            # A copy of the context for each step: settings and run of the caller hold in it, and variables that a step
            # sets do not reach the others.
            work = (contextvars.copy_context(), step, arguments)
            if not self._ready and not self._running:
                # Nothing can run beside it: on the caller's thread it costs none, and a Ctrl-C interrupts the step.
                self._running[step] = None
                self._work(*work)
                return
            # Threads are used again, since a fan-out has thousands of short steps. No `ThreadPoolExecutor`: its threads
            # are joined at exit, so a step that hangs would keep the process alive.
            self._running[step] = thread = self._idle.pop() if self._idle else self._start_thread()
            thread.name = f"step {step._fn_name}"
            thread.inbox.put(work)

    def _start_thread(self) -> _Thread:
        thread = _Thread(self._work)
        self._threads.append(thread)
        thread.start()
        return thread

    def _begin(self, step: Step, arguments: dict[Any, Any]) -> bool:
        """Begin a step that needs no thread; return whether it was one."""
        # Plain values must pass through `_passed_value` first, which may do I/O and therefore needs a thread.
        if step._fn_type == "local" or any(place in self._plain for place in step.get_pre_data_nodes()):
            return False
        try:
            begun = self._executor._begun(step, arguments)
        except Exception as error:  # noqa: BLE001 -- raised again by _finish, as the step's
            self._running[step] = None
            self._finished.put((step, None, error))
            return True
        if begun is None:
            return False
        self._running[step] = None
        begun.add_done_callback(functools.partial(self._report, step))
        return True

    def _report(self, step: Step, begun: Future[Any]) -> None:
        # A cancelled call belongs to a run that has failed; nobody reads its result.
        if not begun.cancelled():
            error = begun.exception()
            self._finished.put((step, None if error else begun.result(), error))

    def _arguments(self, step: Step) -> dict[Any, Any]:
        return {step._ld_to_key[place._ld]: self._values[place] for place in step.get_pre_data_nodes()}

    def _work(self, context: contextvars.Context, step: Step, arguments: dict[Any, Any]) -> None:
        try:
            self._finished.put((step, context.run(self._call, step, arguments), None))
        except BaseException as error:  # noqa: BLE001 -- raised again by _finish, on the thread of the run
            self._finished.put((step, None, error))

    def _call(self, step: Step, arguments: dict[Any, Any]) -> Any:
        places = {step._ld_to_key[place._ld]: place for place in step.get_pre_data_nodes()}
        if step._fn_type != "local":
            fetched, passed = self._executor._fetched, self._executor._passed_value
            plain = {key: passed(fetched(arguments[key])) for key, place in places.items() if place in self._plain}
            return drained(self._executor._called(step, {**arguments, **plain}))
        # The embedded engine marks the steps that move values without looking at them.
        seen = arguments
        if not getattr(step, "_passes_refs", False):
            arguments = {key: self._executor._fetched(value) for key, value in arguments.items()}
            seen = {key: self._executor._local_value(value) for key, value in arguments.items()}
        if any(seen[key] is not arguments[key] or place in self._plain for key, place in places.items()):
            self._plain.add(step.get_data_node())  # read only once the step is finished
        return drained(step._fn(seen))

    def _next_finished(self) -> tuple[Step, Any, BaseException | None]:
        # A finished step ends the wait at once. The timeout is for signals alone: one that arrives just before the
        # thread blocks would wait with it, and on Windows all do, so that a Ctrl-C would never be heard.
        while True:
            with contextlib.suppress(Empty):
                return self._finished.get(timeout=SIGNAL_SECONDS)

    def _finish(self, step: Step, value: Any, error: BaseException | None) -> None:
        thread = self._running.pop(step)
        if thread is not None:
            self._idle.append(thread)
        if error is not None:
            _note(error, f"Raised in the step {step._fn_name!r} of the workflow {self._dag.workflow_.name!r}.")
            raise error
        # Only plain code can return a Lambda; the results of functions, which may be large, are not searched.
        if step._fn_type == "local":
            self._take(step.get_data_node(), value)
        else:
            self._complete(step.get_data_node(), value)

    def _lambdas_in(self, value: Any) -> list[Any]:
        """Return the Lambdas in `value`; one without a node is a container, as `Lambda.map` makes it."""
        found, seen, pending = [], set(), [value]
        while pending:
            item = pending.pop()
            is_lambda = isinstance(item, self._lambda_type)
            if is_lambda and item._dataNode is not None:
                found.append(item)
            elif (is_lambda or type(item) in _CONTAINERS) and id(item) not in seen:
                seen.add(id(item))
                pending.extend([item.value] if is_lambda else item.values() if isinstance(item, dict) else item)
        return found

    def _filled(self, value: Any) -> Any:
        """Return `value` with its Lambdas replaced by their values; a value without Lambdas stays the same object."""
        if isinstance(value, self._lambda_type):
            return self._filled(value.value) if value._dataNode is None else self._values[value._dataNode]
        if not self._lambdas_in(value):
            return value
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        return type(value)(self._filled(item) for item in value)

    def _stuck(self) -> str:
        steps: set[Any] = {node if is_step(node) else node.get_pre_control_node() for node in list[Any](self._waiting)}
        names = ", ".join(sorted(repr(step._fn_name) for step in steps if step is not None))
        return f"The workflow waits for values that no step makes. Steps that cannot start or end are {names}."


class _Thread(threading.Thread):
    """Does the work in its inbox, one item after the other, until an item is None.

    A daemon: a step that is running when the run fails must not keep the process from ending.
    """

    def __init__(self, work: Callable[..., None]) -> None:
        super().__init__(daemon=True)
        self.inbox: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._work = work

    def run(self) -> None:
        """Take work until the inbox gives None."""
        while (given := self.inbox.get()) is not None:
            self._work(*given)
            del given  # an idle thread would keep the arguments, which may be large, until its next step


def drained(result: Any) -> Any:
    """Return a generator's items as a list, so that any number of steps can read them.

    Of a generator that yields nothing and returns something, its return value. Any other value is returned as it is.
    """
    if not isinstance(result, GeneratorType):
        return result
    returned = None

    def watched() -> Generator[Any, None, None]:
        nonlocal returned
        returned = yield from result

    items = list(watched())
    return items if items or returned is None else returned


def _note(error: BaseException, text: str) -> None:
    # The same exception object may be raised by every retry of a step.
    if text not in getattr(error, "__notes__", ()):
        error.add_note(text)
