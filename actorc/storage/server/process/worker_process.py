"""A worker process as its supervisor sees it: its order, its report, its heartbeats and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from actorc.storage.errors import StorageError, error_class

TURN_SECONDS: Final = 1.0
"""Seconds. Silence is counted in turns and not by a clock, so that none passes while the machine or this process is
suspended: heartbeats that arrived in between are read in the next turn."""


class WorkerProcess:
    """One worker process, which may not serve yet.

    Args:
        order: Its configuration, one line of JSON.
        descriptors: Those that it inherits: the engine's lock, the Unix socket.
        metrics: Directory of the numbers of all workers.
    """

    def __init__(self, order: bytes, descriptors: Sequence[int], metrics: str) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            # in "/", since "-m" puts the working directory on the path and would import modules from there
            self.process = subprocess.Popen(
                [sys.executable, "-m", "actorc.storage.server.process.worker"],
                stdin=theirs.fileno(),
                cwd="/",
                # read by the library of the metrics when it is imported
                env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": metrics},
                pass_fds=descriptors,
            )
        # a worker that ended at once is noticed by `ready`
        with suppress(OSError):
            self._channel.sendall(order)

    def ready(self) -> str:
        """Wait until the worker serves; return the base of its presigned URLs.

        Raises:
            StorageError: It does not serve; the error is the one that it reported.
        """
        report: dict[str, Any] = {}
        # a broken channel is a worker that has ended, which the missing report tells below
        with suppress(OSError), self._channel.makefile("rb") as lines:
            report = json.loads(lines.readline() or b"{}")
        if "http_endpoint" in report:
            return str(report["http_endpoint"])
        if "message" in report:
            # outside of the block above, since some errors of this package are an OSError, too
            raise error_class(report["reason"], report["status"])(report["message"])
        raise StorageError("a worker ended before it served; the lines above it in the log say why")

    def listen(self, silence: int) -> bool:
        """Read heartbeats; return False when the worker has ended, True after `silence` turns without one."""
        silent = 0
        # a broken channel is the end of the worker, too
        with suppress(OSError):
            self._channel.settimeout(TURN_SECONDS)
            while silent < silence:
                try:
                    if not self._channel.recv(4096):
                        return False
                    silent = 0
                except TimeoutError:
                    silent += 1
            return True
        return False

    def wait(self) -> str:
        """Wait for the end of the worker; return its exit code or the name of the signal."""
        # reaped, or it would stay a zombie
        code = self.process.wait()
        self._channel.close()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
