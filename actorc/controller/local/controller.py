"""A controller in a process of its own, which ends with this one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from actorc.controller.errors import ControllerError
from actorc.fork_hooks import in_child

from .options import DEFAULT_CALL_TIMEOUT, DEFAULT_MAX_WORKERS, ControllerOptions, new_app_id, reserved

_END_SECONDS: Final = 10.0
"""Seconds that the controller has to exit before it is killed."""


class LocalController:
    """A running ignis controller on this machine, until `close` or the end of this process, even if it is killed.

    Functions run in worker processes, one for each venv name and replica; their output goes to the standard error of
    this process. Nothing is installed: workers have the packages of this Python.

    Args:
        app_ids: Applications it serves, each also followed by a dot and more. Empty: one with a random id.
        listen: ``HOST:PORT`` on loopback; port 0 chooses a free one.
        max_workers: Greatest number of worker processes at a time.
        call_timeout: Seconds that a call may take, unless its function sets another limit; then it fails, and its
            process is replaced.
        path: What workers append to ``sys.path``; None: this process's.
        cwd: The working directory of workers; None: this process's.
        env: Variables for the controller and its workers, in addition to those of this process.

    Attributes:
        address: ``host:port``.
        app_id: The first application it serves.
        pid: Its process id.

    Raises:
        ValueError: An argument is invalid, or the address is not on loopback or is taken.
        ControllerError: It did not start.
    """

    def __init__(
        self,
        app_ids: Sequence[str] = (),
        *,
        listen: str = "127.0.0.1:0",
        max_workers: int = DEFAULT_MAX_WORKERS,
        call_timeout: float = DEFAULT_CALL_TIMEOUT,
        path: Sequence[str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        wanted = ControllerOptions(
            app_ids=tuple(app_ids) or (new_app_id(),),
            listen=listen,
            max_workers=max_workers,
            call_timeout=call_timeout,
            path=tuple(sys.path if path is None else path),
            cwd=str(Path(cwd or ".").absolute()),
        )
        self.app_id = wanted.app_ids[0]
        options, self._port = reserved(wanted)
        self._channel, peer = socket.socketpair()
        in_child(self, LocalController._leave_to_parent)
        with peer:
            self._process = _start(peer, {**os.environ, **(env or {})})
        self.pid = self._process.pid
        # a controller that did not start must not leave a process or a socket behind
        try:
            self.address = self._await_address(options)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the controller and all its workers; return when they are gone. Calling it again does nothing."""
        with suppress(OSError):  # closed already
            # the controller exits at the end of the stream, which closing does not cause while a child has a copy
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            # a controller that hangs must not block the exit of its parent
            self._process.kill()
            self._process.wait()
        # last: until the controller is gone, the held port keeps other users from listening on it
        if self._port is not None:
            self._port.close()

    def _await_address(self, options: ControllerOptions) -> str:
        # a write fails if the controller has died already; the missing answer below reports that
        with suppress(OSError):
            self._channel.sendall(options.to_json().encode() + b"\n")
        # likewise
        with suppress(OSError), self._channel.makefile("rb", buffering=0) as lines:
            reply: dict[str, Any] = json.loads(lines.readline() or b"{}")
            if "address" in reply:
                return str(reply["address"])
            if "error" in reply:
                raise ValueError(reply["error"])
        raise ControllerError("the controller ended before it served; what it wrote to standard error says why")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _leave_to_parent(self) -> None:
        # the controller ends with the process that started it, whatever that forks lives on
        self._channel.close()


def _start(channel: socket.socket, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # in another directory, "-m" would import its modules; in this group, Ctrl-C would end it before us
    return subprocess.Popen(
        [sys.executable, "-m", "actorc.controller.local"],
        cwd="/",
        env=env,
        stdin=channel.fileno(),
        stdout=2,  # the output of functions must not mix with that of this process
        start_new_session=True,
    )
