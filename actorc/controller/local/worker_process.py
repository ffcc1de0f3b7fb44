"""A process that runs functions, as the controller sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.protocol.protobuf_fields import Buffer

from . import messages
from .functions import Function
from .messages import Value
from .worker_socket import Line

_LAST: Final = 2.0
"""Seconds to end in, once told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What functions find in a worker, beside what comes with them."""

    path: tuple[str, ...]
    """Appended to ``sys.path``."""
    cwd: str


class WorkerProcess:
    """A running worker, in a session of its own, with all that its functions start there.

    It ends when the other end of its socket is gone, at once, however that came about.

    Args:
        venv: A label; several workers may have it.
        surroundings: What its functions find.
        on_return: Called with the id of a call, and its result or an error.
        on_end: Called once with the way it ended, after the last `on_return`.
        on_ready: Called once when it begins to carry out orders.

    Raises:
        OSError: The system has no room for another process.
    """

    def __init__(
        self,
        venv: str,
        surroundings: Surroundings,
        on_return: Callable[[str, Value | str], None],
        on_end: Callable[[str], None],
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._venv = venv
        self._on_ready = on_ready
        self._on_return = on_return
        self._on_end = on_end
        self._is_ready = False
        self._loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(theirs)
            except BaseException:
                ours.close()
                raise
        self._line = Line(ours, self._loop, self._receive, self.kill)
        self._line.send((_order(venv, surroundings),))
        self._reaping = threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name=f"worker-{self._process.pid}", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def add(self, function: Function) -> None:
        """Give it a function, in place of another one of that name."""
        self._line.send(
            messages.add_handler(
                self._venv, function.name, function.handler, function.language, methods=function.methods
            )
        )

    def remove(self, function: Function) -> None:
        """Take a function from it; calls that run finish."""
        self._line.send(messages.remove_handler(self._venv, function.name))

    def execute(self, call_id: str, function: Function, args: Mapping[str, Value], method: str) -> None:
        """Let it call a function, or a method of an object."""
        self._line.send(messages.execute(self._venv, call_id, function.name, args, method))

    def end(self) -> None:
        """Let it end; it is ended if it does not."""
        self._line.send(messages.leave(self._venv))
        self._loop.call_later(_LAST, self.kill)

    def kill(self) -> None:
        """End it, and what its functions started, at once. Calling it again does nothing."""
        with self._reaping, suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Return when it is gone."""
        self._watcher.join()

    def _receive(self, frame: Buffer) -> None:
        received = messages.from_worker(frame)
        message = received.message
        if message.type == pb.D_READY:
            self._is_ready = True
            self._on_ready()
        elif message.type == pb.D_RETURN:
            answer = message.returned
            is_value = answer.WhichOneof("result") == "value"
            self._on_return(answer.corr_id, received.value(answer.value) if is_value else answer.error)

    def _watch(self) -> None:
        """Wait for its end, on a thread: a process that a function left behind may keep its socket open."""
        if hasattr(os, "waitid"):
            with suppress(ChildProcessError):  # the system reaped it, so that its id may be somebody else's by now
                # its id stays taken, so that what it leaves behind can still be told by it
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
                self.kill()
            with self._reaping:
                self._process.wait()
        self._process.wait()
        with suppress(RuntimeError):  # the loop is closed, so nobody wants to know
            self._loop.call_soon_threadsafe(self._ended)

    def _ended(self) -> None:
        self._line.drain()
        self._line.close()
        early = "" if self._is_ready else " before it was ready"
        self._on_end(_ending(self._process.returncode) + early)


def _start(channel: socket.socket) -> subprocess.Popen[bytes]:
    # elsewhere, "-m" would import modules of the user's directory
    return subprocess.Popen(
        [sys.executable, "-m", "actorc.controller.local.worker"],
        cwd="/",
        stdin=channel.fileno(),
        stdout=2,  # what functions print must not mix with what this process answers
        start_new_session=True,
    )


def _order(venv: str, surroundings: Surroundings) -> bytes:
    return json.dumps({"venv": venv, "path": surroundings.path, "cwd": surroundings.cwd}).encode()


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
