"""Runs the graph of a Lucas workflow, in parallel, repeatably, and without looking at values.

It serves genuine Lucas and the embedded engine alike, and imports neither.
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
from lucas_storage.engine.graph import Shape, alone, is_step, refuse_lost_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

    from lucas_storage.engine.graph import Place, Step

_CONTAINERS = (list, tuple, dict)

SIGNAL_SECONDS = 0.5
"""How late a Ctrl-C may be heard, at most."""


class GraphExecutor:
    """Runs every step once, as soon as its arguments are there; independent steps run at the same time.

    None is a value. A run leaves the graph as it was, so that the next one is right, whether it succeeded or not. When
    a step raises, no other is started, and the error is raised at once with a note that names the step; steps that are
    running then go on in the background, and what they return is dropped. A generator that a step returns becomes a
    list.

    Args:
        dag: The graph of a Lucas workflow, its inputs set.
    """

    max_workers: ClassVar[int] = 8
    """How many steps run at the same time, at most."""

    straggler_seconds: ClassVar[float] = 10.0
    """How long a run waits for `wf.func` steps that a failed run of the same graph left behind, before it gives up."""

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
        with alone(self.dag):
            shape = Shape.of(self.dag, self.straggler_seconds)
            run = _Run(self.dag, self)
            try:
                return run.result()
            finally:
                shape.restore(run.local_threads())
                run.dismiss()

    def _called(self, step: Step, arguments: dict[Any, Any]) -> Any:
        """Call a registered function, on the step's thread, and return what other steps are given of its result."""
        return step._fn(arguments)

    def _begun(self, step: Step, arguments: dict[Any, Any]) -> Future[Any] | None:  # noqa: ARG002 -- for subclasses
        """Begin what `_called` does, without waiting, and return the result to come; None: it needs a thread."""
        return None

    def _fetched(self, value: Any) -> Any:
        """Return what `value` is for plain code, called on the thread of its step, and for the workflow's caller."""
        return value

    def _local_value(self, value: Any) -> Any:
        """Return what a `wf.func` step is given for the fetched argument `value`; called on the step's thread."""
        return value

    def _passed_value(self, value: Any) -> Any:
        """Return what other steps are given of what plain code made of such values; called on their threads."""
        return value


class _Run:
    """One run: the values so far, and which steps may start.

    Values are kept here and not in the graph, which genuine Lucas shares between runs. Only the thread of the run
    touches this object; the threads of the steps report through `_finished`, and note their own result in `_bare`.
    """

    def __init__(self, dag: Any, executor: GraphExecutor) -> None:
        self._dag = dag
        self._executor = executor
        self._bare: set[Place] = set()
        """What plain code made of values that it alone was given."""
        self._workers = max(1, executor.max_workers)
        self._values: dict[Place, Any] = {}
        self._waiting: dict[Step | Place, set[Place]] = {}
        self._waited_for: dict[Place, list[Step | Place]] = {}
        self._unfilled: dict[Place, Any] = {}
        self._adopted: set[Any] = set()
        self._seen = 0
        self._ready: deque[Step] = deque()
        self._running: dict[Step, _Thread | None] = {}
        self._hired: list[_Thread] = []
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
        """Return the threads of the running steps that could still add to the graph."""
        return [thread for step, thread in self._running.items() if thread is not None and step._fn_type == "local"]

    def dismiss(self) -> None:
        """Let the threads of the run end, each after the step it is at."""
        for thread in self._hired:
            thread.inbox.put(None)

    def _adopt_new(self) -> None:
        # A running wf.func may be in the middle of adding a step. What it returns is adopted when it returns; what it
        # adds and does not return is adopted here, once no such step is running.
        if len(self._dag.nodes) > self._seen and not any(step._fn_type == "local" for step in self._running):
            new = self._dag.nodes[self._seen :]
            self._seen += len(new)
            self._adopt(new)

    def _adopt(self, roots: Iterable[Any], *, bare: bool = False) -> None:
        new = self._reached(roots)
        for step in filter(is_step, new):
            refuse_lost_argument(step)
            if not self._wait(step, step.get_pre_data_nodes()):
                self._ready.append(step)
        for node in new:
            if not is_step(node) and node.get_pre_control_node() is None:
                self._bare |= {node} if bare else set()
                self._take(node, node._ld.value)

    def _reached(self, roots: Iterable[Any]) -> list[Any]:
        """Return the nodes that `roots` depend on and that are new, themselves included."""
        reached, pending = [], deque(roots)
        while pending:
            node = pending.popleft()
            if node is not None and node not in self._adopted:
                self._adopted.add(node)
                reached.append(node)
                pending.extend(node.get_pre_data_nodes() if is_step(node) else [node.get_pre_control_node()])
        return reached

    def _wait(self, node: Any, places: Iterable[Place]) -> bool:
        """Let `node`, a step or a place, wait for `places`, and say whether there is anything to wait for."""
        missing = {place for place in places if place not in self._values}
        if missing:
            self._waiting[node] = missing
        for place in missing:
            self._waited_for.setdefault(place, []).append(node)
        return bool(missing)

    def _take(self, place: Place, value: Any) -> None:
        """Take a value that may hold Lambdas, which are values still to come."""
        inner = [ld._dataNode for ld in self._lambdas_in(value)]
        self._adopt(inner, bare=place in self._bare)
        if self._wait(place, inner):
            self._unfilled[place] = value
        else:
            self._complete(place, self._filled(value))

    def _complete(self, place: Place, value: Any) -> None:
        """Set a value, and the values that waited for it alone; the steps that did become ready."""
        pending = [(place, value)]
        while pending:
            known, full = pending.pop()
            self._values[known] = full
            for node in self._released_by(known):
                if is_step(node):
                    self._ready.append(node)
                else:
                    pending.append((node, self._filled(self._unfilled.pop(node))))

    def _released_by(self, place: Place) -> list[Any]:
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
            work = (contextvars.copy_context(), step, arguments)
            if not self._ready and not self._running:
                # Nothing can run beside it, so the caller's thread will do, and a Ctrl-C reaches the step itself.
                self._running[step] = None
                self._work(*work)
                return
            self._running[step] = thread = self._idle.pop() if self._idle else self._hire()
            thread.name = f"step {step._fn_name}"
            thread.inbox.put(work)

    def _hire(self) -> _Thread:
        thread = _Thread(self._work)
        self._hired.append(thread)
        thread.start()
        return thread

    def _begin(self, step: Step, arguments: dict[Any, Any]) -> bool:
        """Begin a step that needs no thread, and say whether it is one."""
        if step._fn_type == "local" or any(place in self._bare for place in step.get_pre_data_nodes()):
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
        # What is cancelled belongs to a run that is over.
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
            bare = {key: passed(fetched(arguments[key])) for key, place in places.items() if place in self._bare}
            return _drained(self._executor._called(step, {**arguments, **bare}))
        # The embedded engine marks the steps that move values without looking at them.
        seen = arguments
        if not getattr(step, "_passes_refs", False):
            arguments = {key: self._executor._fetched(value) for key, value in arguments.items()}
            seen = {key: self._executor._local_value(value) for key, value in arguments.items()}
        if any(seen[key] is not arguments[key] or place in self._bare for key, place in places.items()):
            self._bare.add(step.get_data_node())  # read only once the step is finished
        return _drained(step._fn(seen))

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
        # Only plain code can have a Lambda to return; what functions return is not searched for one.
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
        """Return `value` with the values of the Lambdas in it; what holds none stays the same object."""
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
    """Does the work that is put into its inbox, one piece after the other, until it is None.

    A daemon: a step that is running when the run fails must not keep the process from ending.
    """

    def __init__(self, work: Callable[..., None]) -> None:
        super().__init__(daemon=True)
        self.inbox: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._work = work

    def run(self) -> None:
        """Work."""
        while (given := self.inbox.get()) is not None:
            self._work(*given)
            del given


def _drained(result: Any) -> Any:
    """Return the items of a generator as a list, or what it returns if it yields none; anything else as it is."""
    if not isinstance(result, GeneratorType):
        return result
    returned = None

    def watched() -> Generator[Any, None, None]:
        nonlocal returned
        returned = yield from result

    items = list(watched())
    return items if items or returned is None else returned


def _note(error: BaseException, text: str) -> None:
    # An error object that is raised again and again says it once.
    if text not in getattr(error, "__notes__", ()):
        error.add_note(text)
