"""Makes a call in a child process, and kills that process, with all that it started, when the call is late."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import wait
from typing import Any, Final, Protocol, Self

from lucas_storage.errors import ArtifactError, StepProcessError, StepTimeoutError

from .channel import Channel, Kind
from .output import Output
from .raised import Raised
from .surroundings import Surroundings, interpreter_options

_MODULE: Final = __name__.rpartition(".")[0]
_START: Final = 300.0
"""Seconds that a process has to start and to import what the function needs, before its own time begins."""
_POLL: Final = 0.1
"""Seconds between two looks whether the process has ended, where the system has no descriptor for that."""
_TELLING: Final = 60.0
"""Seconds from the end of the call to its outcome, at most."""
_LAST: Final = 1.0
"""Seconds from the end of a channel to the end of its process, at most, if it is the process that ended."""
_LOOK: Final = os.WEXITED | os.WNOWAIT | os.WNOHANG
"""Without taking the status away: the number of a process stays its own until its group has been killed."""


class Call(Protocol):
    """A call as the child process makes it, unpickled there."""

    def prepare(self) -> None:
        """Do what does not count as time of the call."""

    def __call__(self) -> Any:
        """Return what the parent is to get."""

    def is_repeated_after(self, error: BaseException) -> bool:
        """Return whether another attempt may end otherwise than with this error of the call."""


class RaisedInChildError(Exception):
    """The call failed.

    Attributes:
        error: To be raised in its place.
        is_repeated: Whether another attempt may end otherwise.
    """

    def __init__(self, error: BaseException, *, is_repeated: bool) -> None:
        super().__init__(error)
        self.error = error
        self.is_repeated = is_repeated


def call_in_child(
    call: bytes,
    *,
    seconds: float,
    function: str,
    answers: Callable[..., Any],
    killing: Callable[[Callable[[], None]], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Any:
    """Return what a call returns that a process of its own makes, which has ended by then, and all that it started.

    Args:
        call: A pickled `Call`.
        seconds: Time of the call, counted from when it has been prepared.
        function: Named in errors.
        answers: Called on this thread with what the call asks by `lucas_storage.child_process.asking`.
        killing: Takes a function that kills the process, which any thread may call within the block that it returns.

    Raises:
        RaisedInChildError: The call raised, was late, or its process ended or was not started; carries the error.
    """
    try:
        started = _Child(function, seconds)
    except OSError as error:
        failure: ArtifactError = StepProcessError(f"no process could be started for it ({error})", function=function)
        raise RaisedInChildError(failure, is_repeated=True) from error
    with started as child, killing(child.kill):
        try:
            return child.result(call, answers)
        except (EOFError, OSError):
            failure = child.failure()
        raise RaisedInChildError(failure, is_repeated=True)


class _Child:
    """One child process, which is killed when the block ends. For one thread."""

    def __init__(self, function: str, seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._is_ready = self._is_late = False
        # Guards against a signal to a process group that is gone, whose number may be another one's by then.
        self._killing = threading.Lock()
        self._is_over = False
        self._ended: int | None = None
        self._timer: threading.Timer | None = None
        self._output = Output()
        ours, theirs = socket.socketpair()
        ends, self._lifeline = os.pipe()
        self._channel = Channel(ours)
        try:
            self._process = self._started(theirs.fileno(), ends)
        except BaseException:
            self._close()
            raise
        finally:
            theirs.close()
            os.close(ends)
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):  # a sandbox may refuse it
                self._ended = os.pidfd_open(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._disarm()
        self.kill()
        with self._killing:
            self._is_over = True
            self._process.wait()
        self._output.end()
        self._close()

    def result(self, call: bytes, answers: Callable[..., Any]) -> Any:
        """Return what the call returns.

        Raises:
            RaisedInChildError: It raised.
            EOFError: The process has ended, or was killed.
            OSError: Likewise.
        """
        self._arm(_START + self._seconds)
        self._channel.send(Surroundings.present())
        self._channel.send_packed(call)
        while True:
            self._wait()
            kind, content = self._channel.receive()
            if kind == Kind.RETURNED:
                return content
            if kind == Kind.RAISED:
                raise RaisedInChildError(content.error(self._function), is_repeated=content.is_repeated)
            self._handle(kind, content, answers)

    def failure(self) -> ArtifactError:
        """Return the error of a process that sent no result."""
        how = self._end()
        # Looked at last: a process that closed its channel before may have been late by now.
        if self._is_late and self._is_ready:
            return StepTimeoutError(
                f"it took longer than {self._seconds:g} s, and its process was killed; give it more with timeout=",
                function=self._function,
                seconds=self._seconds,
            )
        if self._is_late:
            how = f"did not start within {_START:g} s"
        return StepProcessError(f"its process {how} before it returned", function=self._function)

    def _handle(self, kind: Kind, content: Any, answers: Callable[..., Any]) -> None:
        if kind == Kind.READY:
            self._is_ready = True
            self._arm(self._seconds)
        elif kind == Kind.ENDED:
            self._arm(_TELLING)
        elif kind == Kind.LOG:
            logging.getLogger(content.name).handle(content)
        elif kind == Kind.ASK:
            what, arguments = content
            self._channel.send_packed(_answer(answers, what, arguments))

    def _wait(self) -> None:
        """Wait for a message, or the end of the process; a child of that may keep the channel open."""
        connection = self._channel.connection
        if self._ended is not None:
            wait([connection, self._ended])
        else:
            while not connection.poll(_POLL) and self._status() is None:
                pass
        if not connection.poll():
            raise EOFError

    def _status(self) -> os.waitid_result | None:
        return os.waitid(os.P_PID, self._process.pid, _LOOK)

    def _end(self) -> str:
        """Return how the process ended, as a part of a sentence."""
        deadline = time.monotonic() + _LAST
        while (status := self._status()) is None:
            if time.monotonic() > deadline:
                return "closed its connection"
            # The end of the connection comes a moment before that of the process.
            time.sleep(_POLL / 10)
        if status.si_code == os.CLD_EXITED:
            return f"exited with status {status.si_status}"
        return f"was killed by {signal.Signals(status.si_status).name}"

    def _started(self, channel: int, lifeline: int) -> subprocess.Popen[bytes]:
        # Without the working directory among the places of modules: a file there must not stand in for one of Python's.
        command = [sys.executable, "-P", *interpreter_options(), "-m", _MODULE, str(channel), str(lifeline)]
        try:
            return subprocess.Popen(  # noqa: S603  # our own code
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._output.of(sys.stdout, 1),
                stderr=self._output.of(sys.stderr, 2),
                pass_fds=(channel, lifeline),
                # A group of its own, to be killed as a whole.
                start_new_session=True,
            )
        finally:
            self._output.begin()

    def _arm(self, seconds: float) -> None:
        """Kill the process after some time; on a thread of its own, whatever this one waits for."""
        self._disarm()
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._ring)
        self._timer.daemon = True
        self._timer.start()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._is_late = True
        self.kill()
        # Also where a child of the process has left its group, and holds the other end.
        self._channel.shut()

    def kill(self) -> None:
        """Kill the process with its group, if it has not ended; any thread may do so."""
        with self._killing:
            if not self._is_over:
                # Every process of the group has ended.
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _close(self) -> None:
        os.close(self._lifeline)
        self._channel.close()
        if self._ended is not None:
            os.close(self._ended)


def _answer(answers: Callable[..., Any], what: str, arguments: tuple[Any, ...]) -> bytes:
    try:
        return pickle.dumps(answers(what, *arguments))
    except Exception as error:  # noqa: BLE001  # raised again by the one that asked
        return pickle.dumps(Raised.of(error, is_repeated=False))
