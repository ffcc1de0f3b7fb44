"""The functions of a worker: unpickled at their first call, called, and their results encoded as messages."""

from __future__ import annotations

import inspect
import itertools
import json
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import messages
from actorc.controller.local.functions import class_of
from actorc.controller.local.messages import Received, Value
from actorc.controller.protocol import value_codec
from actorc.controller.protocol.protobuf_fields import Parts
from lucas_storage._tracebacks import seam, shorten

_ENVELOPE: Final = 1 << 10
"""Bytes around a value in a message, at most."""
_OURS: Final = (__file__, value_codec.__file__)
_OBJECTS: Final = f"obj.{uuid.uuid4()}"
_numbers = itertools.count(1)


class Handler:
    """A pickled function or object, unpickled by its first call, which fails if that does. Thread-safe."""

    def __init__(self, command: pb.AddHandler) -> None:
        self.language = command.language
        self._shown = class_of(command.methods) or command.name
        self._pickled: bytes | None = command.handler
        self._opened: Any = None
        # calls run on several threads; an object must be unpickled once, or each would have a state of its own
        self._lock = threading.Lock()

    def shown(self, method: str) -> str:
        """Return the name of the function, or of a method after that of its class and a dot, for messages."""
        return f"{self._shown}.{method}" if method else self._shown

    def callable(self, method: str) -> Callable[..., Any]:
        """Return the function, or the method of the object."""
        with self._lock:
            if self._pickled is not None:
                # the pickle is kept if this raises, so that the next call tries again
                self._opened = value_codec.decoded(value_codec.Encoded(data=self._pickled))
                self._pickled = None
        found: Callable[..., Any] = getattr(self._opened, method) if method else self._opened
        return found

    def encoded(self, value: Any, shown: str) -> bytes:
        """Return a result in the language of the function.

        Raises:
            OverflowError: It is larger than a message may be.
        """
        data = json.dumps(value).encode() if self.language == pb.LANGUAGE_JSON else value_codec.dumps(value)
        if len(data) > messages.MAX_MESSAGE_SIZE - _ENVELOPE:
            raise OverflowError(
                f"{shown!r} returned {len(data):,} bytes, and a message carries {messages.MAX_MESSAGE_SIZE:,}; "
                "decorate it with @with_storage, which returns a reference to the value"
            )
        return data


class Functions:
    """Functions by name. Changed by the reading thread only; any thread may call them.

    Args:
        venv: The name of the worker's environment.
    """

    def __init__(self, venv: str) -> None:
        self.venv = venv
        self._handlers: dict[str, Handler] = {}

    def add(self, command: pb.AddHandler) -> None:
        """Add a function, replacing another one of that name."""
        self._handlers[command.name] = Handler(command)

    def remove(self, name: str) -> None:
        """Remove a function; running calls of it go on."""
        self._handlers.pop(name, None)

    def find(self, name: str) -> Handler | None:
        """Return the present function of this name."""
        return self._handlers.get(name)

    def call(self, handler: Handler | None, received: Received[pb.WorkerMessage]) -> Parts:
        """Call a function; return its result, or the error of the call or of its preparation, as a message."""
        call_id = received.message.execute.corr_id
        if handler is None:
            return messages.error(self.venv, call_id, "the worker was not given the function")
        try:
            data = self._called(handler, received)
        except BaseException as error:  # noqa: BLE001  # also SystemExit: it ends the call, and not the worker
            return messages.error(self.venv, call_id, _error_text(error))
        return messages.result(self.venv, call_id, Value(f"{_OBJECTS}.{next(_numbers)}", handler.language, data))

    def _called(self, handler: Handler, received: Received[pb.WorkerMessage]) -> bytes:
        command = received.message.execute
        shown = handler.shown(command.method)
        with _step(f"the worker of venv {self.venv!r} could not load {shown!r}, {_IMPORTS}"):
            function = handler.callable(command.method)
        with _step(f"the worker of venv {self.venv!r} could not read an argument of {shown!r}, {_IMPORTS}"):
            args = {name: _decoded(received.value(arg)) for name, arg in command.args.items()}
        value = _called(function, args)
        if inspect.isgenerator(value):
            value = list(value)
        with _step(f"the worker of venv {self.venv!r} could not send what {shown!r} returned"):
            return handler.encoded(value, shown)


@seam
def _called(function: Callable[..., Any], args: dict[str, Any]) -> Any:
    return function(**args)


_IMPORTS: Final = "which must be able to import what that uses"


class _StepError(Exception):  # only carries a cause to `_error_text`
    """A step around a call failed."""

    def __init__(self, explanation: str, cause: BaseException) -> None:
        super().__init__(explanation)
        self.cause = cause


@contextmanager
def _step(explanation: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # noqa: BLE001  # a module may call `sys.exit` when it is imported
        raise _StepError(explanation, error) from None


def _decoded(value: Value) -> Any:
    data = value.data if value.language == value_codec.PYTHON else bytes(value.data)
    return value_codec.decoded(value_codec.Encoded(data=data, language=value.language))  # type: ignore[arg-type]


def _error_text(error: BaseException) -> str:
    """Return the text of an error: its type and message, then the traceback of the user's part of the stack."""
    explanation = ""
    if isinstance(error, _StepError):
        explanation, error = f"; {error}", error.cause
    shorten(error)
    kind, trace = type(error), _users_part(error.__traceback__)
    frames = "".join(traceback.format_exception(kind, error, trace))
    return f"{kind.__name__}: {_message_text(error)}{explanation}" + (f"\n\n{frames.rstrip()}" if trace else "")


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    while trace and trace.tb_frame.f_code.co_filename in _OURS:
        trace = trace.tb_next
    return trace


def _message_text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # it is the user's method
        return "its message cannot be shown"
