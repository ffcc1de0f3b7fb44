"""A worker process, as the controller sees it."""

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
from .worker_socket import WorkerSocket

_EXIT_SECONDS: Final = 2.0
"""Seconds that a worker has to exit after the order to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The settings of a worker that its functions depend on."""

    path: tuple[str, ...]
    """Appended to ``sys.path``."""
    cwd: str


class WorkerProcess:
    """A running worker, in a session of its own, together with all processes its functions start.

    It exits at once when the peer of its socket is gone. For the event loop only, except `kill`.

    Args:
        venv: A label; several workers may share it.
        settings: The settings for its functions.
        on_return: Called with the id of a call, and its result or an error.
        on_end: Called once, after the last `on_return`, with how it ended.
        on_ready: Called once, when it begins to carry out orders.

    Raises:
        OSError: The system cannot start another process.
    """

    def __init__(
        self,
        venv: str,
        settings: WorkerSettings,
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
                # else the descriptor would leak, when the system is short of them already
                ours.close()
                raise
        self._socket = WorkerSocket(ours, self._loop, self._receive, self.kill)
        self._socket.send((_settings_message(venv, settings),))
        # `kill` must not signal an id that was reaped meanwhile, since another process may have it by then
        self._reap_lock = threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name=f"worker-{self._process.pid}", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def add(self, function: Function) -> None:
        """Add a function, replacing another one of that name."""
        self._socket.send(
            messages.add_handler(
                self._venv, function.name, function.handler, function.language, methods=function.methods
            )
        )

    def remove(self, function: Function) -> None:
        """Remove a function; running calls of it finish."""
        self._socket.send(messages.remove_handler(self._venv, function.name))

    def execute(self, call_id: str, function: Function, args: Mapping[str, Value], method: str) -> None:
        """Call a function, or a method of an object."""
        self._socket.send(messages.execute(self._venv, call_id, function.name, args, method))

    def end(self) -> None:
        """Order it to exit; it is killed if it does not in time."""
        self._socket.send(messages.end_worker(self._venv))
        self._loop.call_later(_EXIT_SECONDS, self.kill)

    def kill(self) -> None:
        """Kill it and all processes its functions started, at once. Calling it again does nothing."""
        # a group whose processes have all ended is no error
        with self._reap_lock, suppress(ProcessLookupError, PermissionError):
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
        """Wait for its exit, on a thread: its socket may stay open, if a process it left behind has it."""
        if hasattr(os, "waitid"):
            with suppress(ChildProcessError):  # already reaped by the system, so its id may belong to another process
                # it is not reaped yet, so its id still names its group, and the processes it left can be killed
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
                self.kill()
            with self._reap_lock:
                self._process.wait()
        self._process.wait()
        with suppress(RuntimeError):  # the loop is closed, so no callback is wanted any more
            self._loop.call_soon_threadsafe(self._ended)

    def _ended(self) -> None:
        # its last results may still be in the socket
        self._socket.drain()
        self._socket.close()
        early = "" if self._is_ready else " before it was ready"
        self._on_end(_exit_text(self._process.returncode) + early)


def _start(channel: socket.socket) -> subprocess.Popen[bytes]:
    # in another directory, "-m" would import its modules
    return subprocess.Popen(
        [sys.executable, "-m", "actorc.controller.local.worker"],
        cwd="/",
        stdin=channel.fileno(),
        stdout=2,  # the output of functions must not mix with that of this process
        start_new_session=True,
    )


def _settings_message(venv: str, settings: WorkerSettings) -> bytes:
    return json.dumps({"venv": venv, "path": settings.path, "cwd": settings.cwd}).encode()


def _exit_text(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
