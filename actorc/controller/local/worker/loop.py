"""The main loop of a worker: reads orders, runs calls on threads, and sends their results."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import messages
from actorc.controller.local.framing import FrameReader, header
from actorc.controller.local.messages import Received
from actorc.controller.protocol.protobuf_fields import Buffer, Parts
from actorc.tracing import provider

from .functions import Functions
from .lucas_import_hook import provide_lucas

_FLUSH_SECONDS: Final = 1.0
"""Seconds for the export of spans before a result is sent."""
_JOINED_SIZE: Final = 64 << 10
"""Bytes up to which copying the parts into one buffer is cheaper than several system calls."""


def serve(channel: socket.socket) -> None:
    """Carry out orders until the controller sends the last one or is gone."""
    worker = _Worker(channel)
    reader = FrameReader()
    # a reset connection means that the controller has died, which ends the worker like the end of the stream
    with suppress(ConnectionError):
        while count := channel.recv_into(reader.buffer()):
            complete = reader.filled(count)
            # popped, because a reference to a large message would keep its memory until the next message comes
            while complete:
                if not worker.carry_out(complete.pop(0)):
                    return


class _Worker:
    """Carries out messages; the first one holds its settings. Results are sent from the threads of calls."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        # a message is sent in several pieces, which those of another thread must not come between
        self._sending = threading.Lock()
        self._threads = _Threads()
        self._functions: Functions | None = None

    def carry_out(self, frame: Buffer) -> bool:
        """Carry out a message; return whether more may follow."""
        if self._functions is None:
            self._functions = Functions(_set_up(json.loads(bytes(frame))))
            self._send(messages.ready(self._functions.venv))
            return True
        received = messages.from_controller(frame)
        match received.message.type:
            case pb.R_EXECUTE:
                self._execute(self._functions, received)
            case pb.R_ADD_HANDLER:
                self._functions.add(received.message.add_handler)
            case pb.R_REMOVE_HANDLER:
                self._functions.remove(received.message.remove_handler.name)
        return received.message.type != pb.R_EXIT

    def _execute(self, functions: Functions, received: Received[pb.WorkerMessage]) -> None:
        # looked up now: by the time the call runs, another function may have that name
        handler = functions.find(received.message.execute.name)
        self._threads.run(lambda: self._send(_told(functions.call(handler, received))))

    def _send(self, parts: Parts) -> None:
        size = sum(map(len, parts))
        whole = (header(size), *parts)
        with self._sending:
            for piece in whole if size > _JOINED_SIZE else (b"".join(whole),):
                self._channel.sendall(piece)


def _told(result: Parts) -> Parts:
    """Return a result once its spans are exported: the controller may kill this process when the run has it."""
    provider.flush(_FLUSH_SECONDS)
    return result


class _Threads:
    """Runs each function at once, on an idle thread or a new one; calls may wait for each other, so none is queued."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def run(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        # the semaphore counts idle threads, so each piece of work has one that takes it
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._work.get()()
            self._idle.release()


def _set_up(order: dict[str, Any]) -> str:
    """Set up directory, module path and output for the user's functions; return the name of the venv."""
    here = str(Path.cwd())
    os.chdir(order["cwd"])
    # "-m" put the start directory there
    sys.path[:] = [each for each in sys.path if each != here]
    sys.path.extend(each for each in order["path"] if each not in sys.path)
    # output of a function that is killed later must not be lost in a buffer
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    provide_lucas()
    return str(order["venv"])
