"""Scheduler: runs the graph of a Lucas workflow in parallel, repeatably, and without inspecting values.

It runs graphs of genuine Lucas and of the embedded engine, and imports neither.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar

from lucas_storage._tracebacks import shortened

from .dataflow import Dataflow
from .drained_generators import drained
from .graph import GraphSnapshot, exclusive
from .provenance import Provenance, put_at
from .step_threads import StepThreads

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .graph import Step
    from .step_threads import StepThread

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
    """One run: its dataflow, and the steps under way.

    Only the thread of the run uses this object; the threads of the steps report through `_finished`.
    """

    def __init__(self, dag: Any, executor: GraphExecutor) -> None:
        self._dag = dag
        self._executor = executor
        self._workers = max(1, executor.max_workers)
        self._may_begin = type(executor)._begun is not GraphExecutor._begun
        self._flow = Dataflow(dag)
        self._provenance = Provenance()
        self._threads = StepThreads(self._work)
        self._running: dict[Step, StepThread | None] = {}
        self._finished: SimpleQueue[tuple[Step, Any, BaseException | None]] = SimpleQueue()

    def result(self) -> Any:
        """Run all steps and return the value of the end node."""
        self._adopt_new()
        while self._flow.ready or self._running:
            self._start()
            self._finish(*self._next_finished())
            self._adopt_new()
        end = self._flow.end()
        value = self._flow.result(end)
        if end is not None:
            self._provenance.ends_with(end)
        return value

    def local_threads(self) -> list[threading.Thread]:
        """Return the threads of the running `wf.func` steps, which could still add to the graph."""
        return [thread for step, thread in self._running.items() if thread is not None and step._fn_type == "local"]

    def dismiss(self) -> None:
        """End the threads of the run, each after its present step."""
        self._threads.dismiss()

    def _adopt_new(self) -> None:
        # A running wf.func may be in the middle of adding a step. Steps that it returns are adopted when it returns;
        # steps that it adds and does not return are adopted here, once no wf.func is running.
        if self._flow.has_new_nodes and not any(step._fn_type == "local" for step in self._running):
            self._flow.adopt_new_nodes()

    def _start(self) -> None:
        ready = self._flow.ready
        while ready and len(self._running) < self._workers:
            step = ready.popleft()
            arguments = self._flow.arguments(step)
            if self._may_begin and self._begin(step, arguments):
                continue
            # A copy of the context for each step: settings and run of the caller hold in it, and variables that a step
            # sets do not reach the others.
            context = contextvars.copy_context()
            put_at(context, self._provenance.place_of(step))
            work = (context, step, arguments)
            if not ready and not self._running:
                # Nothing can run beside it: on the caller's thread it costs none, and a Ctrl-C interrupts the step.
                self._running[step] = None
                self._work(*work)
                return
            self._running[step] = self._threads.start(f"step {step._fn_name}", work)

    def _begin(self, step: Step, arguments: dict[Any, Any]) -> bool:
        """Begin a step that needs no thread; return whether it was one."""
        # Plain values must pass through `_passed_value` first, which may do I/O and therefore needs a thread.
        if step._fn_type == "local" or any(map(self._flow.is_plain, step.get_pre_data_nodes())):
            return False
        context = contextvars.copy_context()
        put_at(context, self._provenance.place_of(step))
        try:
            begun = context.run(self._executor._begun, step, arguments)
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

    def _work(self, context: contextvars.Context, step: Step, arguments: dict[Any, Any]) -> None:
        try:
            self._finished.put((step, context.run(self._call, step, arguments), None))
        except BaseException as error:  # noqa: BLE001 -- raised again by _finish, on the thread of the run
            self._finished.put((step, None, error))

    def _call(self, step: Step, arguments: dict[Any, Any]) -> Any:
        places = {step._ld_to_key[place._ld]: place for place in step.get_pre_data_nodes()}
        if step._fn_type != "local":
            fetched, passed = self._executor._fetched, self._executor._passed_value
            plain = {
                key: passed(fetched(arguments[key])) for key, place in places.items() if self._flow.is_plain(place)
            }
            return drained(self._executor._called(step, {**arguments, **plain}))
        # The embedded engine marks the steps that move values without looking at them.
        seen = arguments
        if not getattr(step, "_passes_refs", False):
            arguments = {key: self._executor._fetched(value) for key, value in arguments.items()}
            seen = {key: self._executor._local_value(value) for key, value in arguments.items()}
        if any(seen[key] is not arguments[key] or self._flow.is_plain(place) for key, place in places.items()):
            self._flow.mark_plain(step.get_data_node())
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
            self._threads.take_back(thread)
        if error is not None:
            _note(error, f"Raised in the step {step._fn_name!r} of the workflow {self._dag.workflow_.name!r}.")
            raise error
        # Only plain code can return a Lambda; the results of functions, which may be large, are not searched.
        if step._fn_type == "local":
            self._provenance.holds(step, self._flow.take(step.get_data_node(), value))
        else:
            self._flow.complete(step.get_data_node(), value)


def _note(error: BaseException, text: str) -> None:
    # The same exception object may be raised by every retry of a step.
    if text not in getattr(error, "__notes__", ()):
        error.add_note(text)
