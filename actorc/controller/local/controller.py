"""A controller in a process of its own, that ends with this one."""

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

_LAST: Final = 10.0
"""Seconds that the controller has to end before it is killed."""


class LocalController:
    """A running ignis controller on this machine, until `close` or the end of this process, however it comes about.

    Functions run in worker processes of it, one for each venv name and replica; their output goes where this process's
    standard error goes. Nothing is installed: workers have what this Python has.

    Args:
        app_ids: Applications it serves, each also with a dot and more behind it. None given: one that nobody guesses.
        listen: ``HOST:PORT`` on loopback; port 0 finds one.
        max_workers: How many worker processes there may be at a time.
        call_timeout: Seconds that a call may take, where its function says nothing else; then it fails, and the process
            it runs in is replaced.
        path: What workers append to ``sys.path``; None: this process's.
        cwd: The working directory of workers; None: this process's.
        env: Variables for the controller and its workers, beside those of this process.

    Attributes:
        address: ``host:port``.
        app_id: The first application it serves.
        pid: Its process id.

    Raises:
        ValueError: An argument makes no sense, or the address is not on loopback or taken.
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
        self._channel, theirs = socket.socketpair()
        in_child(self, LocalController._leave_to_parent)
        with theirs:
            # elsewhere, "-m" would import modules of this directory; in its group, Ctrl-C would end it before us
            self._process = subprocess.Popen(
                [sys.executable, "-m", "actorc.controller.local"],
                cwd="/",
                env={**os.environ, **(env or {})},
                stdin=theirs.fileno(),
                stdout=2,  # what functions print must not mix with what this process does
                start_new_session=True,
            )
        self.pid = self._process.pid
        try:
            self.address = self._started(options)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it with all its workers; return when it is gone. Calling it again does nothing."""
        with suppress(OSError):  # closed already
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        try:
            self._process.wait(_LAST)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._port is not None:
            self._port.close()

    def _started(self, options: ControllerOptions) -> str:
        with suppress(OSError):
            self._channel.sendall(options.to_json().encode() + b"\n")
        with suppress(OSError), self._channel.makefile("rb", buffering=0) as lines:
            told: dict[str, Any] = json.loads(lines.readline() or b"{}")
            if "address" in told:
                return str(told["address"])
            if "error" in told:
                raise ValueError(told["error"])
        raise ControllerError("the controller ended before it served; what it wrote to standard error says why")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _leave_to_parent(self) -> None:
        # the controller ends with the process that started it, whatever that forks lives on
        self._channel.close()
