"""Reads orders, carries them out on threads, and answers."""

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

from .engine import provide_lucas
from .functions import Functions

_SMALL: Final = 64 << 10
"""Bytes up to which one system call is cheaper than no copy."""


def serve(channel: socket.socket) -> None:
    """Do what the other end says, until it says no more or is gone."""
    worker = _Worker(channel)
    reader = FrameReader()
    with suppress(ConnectionError):
        while count := channel.recv_into(reader.buffer()):
            complete = reader.filled(count)
            # popped, because a large one must not stay here until the next one comes
            while complete:
                if not worker.carry_out(complete.pop(0)):
                    return


class _Worker:
    """Does what each message says; the first one says where."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._threads = _Threads()
        self._functions: Functions | None = None

    def carry_out(self, frame: Buffer) -> bool:
        """Do what a message says; return whether another one is to come."""
        if self._functions is None:
            self._functions = Functions(_settle(json.loads(bytes(frame))))
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
        # found now: by the time the call runs, another function may have that name
        handler = functions.find(received.message.execute.name)
        self._threads.run(lambda: self._send(functions.call(handler, received)))

    def _send(self, parts: Parts) -> None:
        size = sum(map(len, parts))
        whole = (header(size), *parts)
        with self._sending:
            for piece in whole if size > _SMALL else (b"".join(whole),):
                self._channel.sendall(piece)


class _Threads:
    """Runs each piece of work at once, on a thread that is idle or a new one."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def run(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._work.get()()
            self._idle.release()


def _settle(order: dict[str, Any]) -> str:
    """Become a place where the user's functions feel at home; return the name of the venv."""
    here = str(Path.cwd())
    os.chdir(order["cwd"])
    # "-m" put the directory there in which this was started
    sys.path[:] = [each for each in sys.path if each != here]
    sys.path.extend(each for each in order["path"] if each not in sys.path)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    provide_lucas()
    return str(order["venv"])
