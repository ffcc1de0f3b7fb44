"""Attempts at a step that takes a limited time: in a process that is killed, or else on a thread that is given up."""

from __future__ import annotations

import contextvars
import logging
import pickle
import tempfile
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from lucas_storage.child_process.call import RaisedInChildError, call_in_child
from lucas_storage.errors import NoFormatError, StepTimeoutError, UnsafeFormatError
from lucas_storage.records import run_log
from lucas_storage.records.step_note import StepNote, message_of
from lucas_storage.storage import are_handles_replaced
from lucas_storage.values.storing import outgoing
from lucas_storage.values.storing.policy import Policies

from .attempts import AttemptUnderWay
from .child_attempt import TELL, ChildAttempt, ChildResult

logger = logging.getLogger(__name__)

_PREFIX: Final = "lucas-storage-step-"


class TimedAttempts:
    """Makes attempts at a function, each within a limited time. Safe to share between threads.

    Args:
        function: Its name.
        seconds: The time of each attempt.
        shipped: Returns the decorated function, pickled; None if there is no way to.
    """

    def __init__(self, function: str, seconds: float, shipped: Callable[[], bytes] | None) -> None:
        self._function = function
        self._seconds = seconds
        self._shipped = shipped
        self._warned = False

    def of_call(
        self,
        runtime: Any,
        given: Mapping[str, Any] | None,
        policy: Policies,
        note: StepNote | None,
        here: Callable[[AttemptUnderWay], Any],
    ) -> Callable[[AttemptUnderWay], Any]:
        """Return a function that makes one attempt at a call.

        Args:
            runtime: The engine's runtime, of a function that takes it.
            given: The arguments of other functions.
            policy: Where arguments go that do not travel as they are.
            note: The record of the step, within a run.
            here: Makes an attempt in this process.

        Raises:
            ArtifactError: An argument cannot be stored.
        """
        if are_handles_replaced():
            # Another process would write to the store itself. Without a warning: it is no fault of the function.
            return lambda attempt: self._on_thread(attempt, here)
        try:
            packed = self._packed()
            of_runtime = None if runtime is None else outgoing.offload_each(runtime.input(), policy)
            travelling = None if given is None else outgoing.offload_each(dict(given), policy)
        except (_NotPicklableError, NoFormatError, UnsafeFormatError) as error:
            self._warn_once(error)
            return lambda attempt: self._on_thread(attempt, here)
        recorded = None if note is None else (note.key, note.values)

        def there(attempt: AttemptUnderWay) -> Any:
            with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
                call = ChildAttempt.here(packed, travelling, of_runtime, Path(folder), recorded)
                return self._in_child(attempt, runtime, call)

        return there

    def _in_child(self, attempt: AttemptUnderWay, runtime: Any, call: ChildAttempt) -> Any:
        try:
            made: ChildResult = call_in_child(
                pickle.dumps(call),
                seconds=self._seconds,
                function=self._function,
                answers=partial(_answer, runtime),
                # Nobody takes the result of a run that has failed, or was interrupted in a notebook.
                killing=run_log.at_end,
            )
        except RaisedInChildError as raised:
            attempt.is_repeated = raised.is_repeated
            error = raised.error
        else:
            return made.noted()
        raise error

    def _on_thread(self, attempt: AttemptUnderWay, here: Callable[[AttemptUnderWay], Any]) -> Any:
        ended = threading.Event()
        outcome: list[Callable[[], Any]] = []

        def work() -> None:
            try:
                outcome.append(_returning(here(attempt)))
            except BaseException as error:  # noqa: BLE001  # raised again below
                outcome.append(_raising(error))
            ended.set()

        # In the context of the step, whose settings and run hold in it. A daemon: it may never end.
        target = contextvars.copy_context().run
        threading.Thread(target=target, args=(work,), name=f"step {self._function}", daemon=True).start()
        if ended.wait(min(self._seconds, threading.TIMEOUT_MAX)):
            return outcome[0]()
        # None starts beside it: two attempts would undo each other's work.
        attempt.is_repeated = False
        raise StepTimeoutError(
            f"it took longer than {self._seconds:g} s and goes on without a result, since it runs in this process and "
            "cannot be killed; a warning told why",
            function=self._function,
            seconds=self._seconds,
        )

    def _packed(self) -> bytes:
        try:
            if self._shipped is not None:
                return self._shipped()
        except Exception as error:
            raise _NotPicklableError(f"it cannot be pickled ({type(error).__name__}: {message_of(error)})") from error
        raise _NotPicklableError("it cannot be pickled")

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "%r has no process of its own and cannot be killed when it is late; %s", self._function, error
            )


def _answer(runtime: Any, what: str, *arguments: Any) -> Any:
    """Return the answer to a question of the process of an attempt."""
    return run_log.adopt(*arguments) if what == TELL else getattr(runtime, what)(*arguments)


class _NotPicklableError(Exception):
    """The function cannot be sent to another process."""


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value


def _raising(error: BaseException) -> Callable[[], Any]:
    def raising() -> Any:
        raise error

    return raising
