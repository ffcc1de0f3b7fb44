"""Messages of the controller: answers to clients, and orders to workers with their answers.

All are written as parts, so that a large value is never copied into a message.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.message import DecodeError

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.protocol.protobuf_fields import Buffer, Parts, cut, nested, number_in, opening

from .framing import DamagedMessageError

M = TypeVar("M", pb.Message, pb.WorkerMessage)

MAX_MESSAGE_SIZE: Final = 512 << 20
"""Bytes; the platform's limit in both directions."""
_LARGE: Final = 64 << 10
"""Bytes from which cutting a message costs less than copying its value."""

_DATA: Final = pb.EncodedObject.DATA_FIELD_NUMBER
_IN_ARGUMENT: Final = (
    pb.Message.APPEND_ARG_FIELD_NUMBER,
    pb.AppendArg.VALUE_FIELD_NUMBER,
    pb.Data.ENCODED_FIELD_NUMBER,
    _DATA,
)
_IN_METHOD_ARGUMENT: Final = (
    pb.Message.APPEND_CLASS_METHOD_ARG_FIELD_NUMBER,
    pb.AppendClassMethodArg.VALUE_FIELD_NUMBER,
    pb.Data.ENCODED_FIELD_NUMBER,
    _DATA,
)
_IN_DATA: Final = (pb.Message.APPEND_DATA_FIELD_NUMBER, pb.AppendData.OBJECT_FIELD_NUMBER, _DATA)
_IN_RESULT: Final = (pb.WorkerMessage.RETURNED_FIELD_NUMBER, pb.Return.VALUE_FIELD_NUMBER, _DATA)
_IN_CALL: Final = (
    pb.WorkerMessage.EXECUTE_FIELD_NUMBER,
    pb.Execute.ARGS_FIELD_NUMBER,
    pb.Execute.ArgsEntry.VALUE_FIELD_NUMBER,
    _DATA,
)


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """An encoded value in the buffer in which it was received. Immutable, and so is its buffer from then on."""

    id: str
    language: pb.Language.ValueType
    data: Buffer

    @property
    def parts(self) -> Parts:
        """The value as an ``EncodedObject``."""
        head = pb.EncodedObject(id=self.id, language=self.language).SerializeToString()
        return head + opening(_DATA, len(self.data)), self.data


@dataclass(frozen=True, slots=True, eq=False)
class Received(Generic[M]):
    """A message, and its large fields, which are views of the buffer in which it was received."""

    message: M
    fields: list[memoryview] | None = None
    """None if the message was not cut."""

    def value(self, encoded: pb.EncodedObject) -> Value:
        """Return a value of this message; a large one is a view that keeps the buffer of the message alive."""
        data: Buffer = encoded.data
        if self.fields is not None:
            number = number_in(encoded.data)
            data = self.fields[number - 1] if number else b""
        return Value(encoded.id, encoded.language, data)


def from_client(data: bytes) -> list[Received[pb.Message]]:
    """Parse a message of a client, which may hold several messages.

    Raises:
        DamagedMessageError: It cannot be parsed.
    """
    with _parse_errors():
        rest, fields = (data, None) if len(data) < _LARGE else _cut(data)
        message = pb.Message.FromString(rest)
    # large messages are never batched, so nothing was cut from a batch
    return [Received(each) for each in message.batch] or [Received(message, fields)]


def _cut(data: bytes) -> tuple[bytes, list[memoryview]]:
    for path in (_IN_ARGUMENT, _IN_METHOD_ARGUMENT, _IN_DATA):
        rest, fields = cut(data, *path)
        if fields:
            break
    return rest, fields


def from_worker(frame: Buffer) -> Received[pb.WorkerMessage]:
    """Parse a message of a worker.

    Raises:
        DamagedMessageError: It cannot be parsed.
    """
    return _of_worker(frame, _IN_RESULT)


def from_controller(frame: Buffer) -> Received[pb.WorkerMessage]:
    """Parse a message of the controller; for workers."""
    return _of_worker(frame, _IN_CALL)


def _of_worker(frame: Buffer, path: tuple[int, ...]) -> Received[pb.WorkerMessage]:
    with _parse_errors():
        if len(frame) < _LARGE:
            return Received(pb.WorkerMessage.FromString(bytes(frame)))
        message, fields = cut(frame, *path)
        return Received(pb.WorkerMessage.FromString(message), fields)


@contextmanager
def _parse_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, DecodeError) as error:
        raise DamagedMessageError(str(error)) from error


def ack(error: str = "", *, batches: bool = False) -> Parts:
    """Return the answer to a registration; `batches` confirms that batches are accepted."""
    return _to_client(pb.Message(type=pb.ACK, ack=pb.Ack(error=error, batches=batches)))


def returned(session_id: str, instance_id: str, name: str, result: str, store: str) -> Parts:
    """Return the result of a call: the id of the value and its store, in the platform's terms."""
    value = pb.Data(type=pb.Data.OBJECT_REF, ref=pb.Flow(id=result, source=pb.StoreRef(id=store)))
    command = pb.ReturnResult(session_id=session_id, instance_id=instance_id, name=name, value=value)
    return _to_client(pb.Message(type=pb.BK_RETURN_RESULT, return_result=command))


def failed(session_id: str, instance_id: str, name: str, error: str) -> Parts:
    """Return the result of a call that failed."""
    command = pb.ReturnResult(session_id=session_id, instance_id=instance_id, name=name, error=error)
    return _to_client(pb.Message(type=pb.BK_RETURN_RESULT, return_result=command))


def found(object_id: str, value: Value) -> Parts:
    """Return the answer to a request for an object."""
    answer = pb.Message(type=pb.BK_RESPONSE_OBJECT, response_object=pb.ResponseObject(id=object_id))
    within = (pb.Message.RESPONSE_OBJECT_FIELD_NUMBER, pb.ResponseObject.VALUE_FIELD_NUMBER)
    # protobuf merges the two occurrences of the field
    return answer.SerializeToString(), *nested(value.parts, *within)


def missing(object_id: str, error: str) -> Parts:
    """Return the answer to a request for a missing object.

    Besides the error it holds a value, an exception with the same text: Lucas's own client does not check the error,
    and a value it cannot decode would end the thread that receives all its answers.
    """
    value = pb.EncodedObject(id=object_id, data=pickle.dumps(RuntimeError(error)), language=pb.LANGUAGE_PYTHON)
    answer = pb.ResponseObject(id=object_id, value=value, error=error)
    return _to_client(pb.Message(type=pb.BK_RESPONSE_OBJECT, response_object=answer))


def add_handler(
    venv: str, name: str, handler: bytes, language: pb.Language.ValueType, methods: Iterable[str] = ()
) -> Parts:
    """Return the order to add a function, or an object with methods."""
    command = pb.AddHandler(name=name, handler=handler, language=language, methods=methods)
    return _to_worker(pb.WorkerMessage(conn=venv, type=pb.R_ADD_HANDLER, add_handler=command))


def remove_handler(venv: str, name: str) -> Parts:
    """Return the order to remove a function."""
    command = pb.RemoveHandler(name=name)
    return _to_worker(pb.WorkerMessage(conn=venv, type=pb.R_REMOVE_HANDLER, remove_handler=command))


def execute(venv: str, call_id: str, name: str, args: Mapping[str, Value], method: str = "") -> Parts:
    """Return the order to call a function, or a method of an object."""
    command = pb.Execute(corr_id=call_id, name=name, method=method)
    order = pb.WorkerMessage(conn=venv, type=pb.R_EXECUTE, execute=command)
    parts: Parts = (order.SerializeToString(),)
    for param, value in args.items():
        key = nested((param.encode(),), pb.Execute.ArgsEntry.KEY_FIELD_NUMBER)
        entry = (*key, *nested(value.parts, pb.Execute.ArgsEntry.VALUE_FIELD_NUMBER))
        parts += nested(entry, pb.WorkerMessage.EXECUTE_FIELD_NUMBER, pb.Execute.ARGS_FIELD_NUMBER)
    return parts


def end_worker(venv: str) -> Parts:
    """Return the order to exit."""
    return _to_worker(pb.WorkerMessage(conn=venv, type=pb.R_EXIT, exit=pb.Exit()))


def ready(venv: str) -> Parts:
    """Return a worker's message that it accepts orders."""
    return _to_worker(pb.WorkerMessage(conn=venv, type=pb.D_READY, ready=pb.Ready()))


def result(venv: str, call_id: str, value: Value) -> Parts:
    """Return a worker's message with the result of a function."""
    answer = pb.WorkerMessage(conn=venv, type=pb.D_RETURN, returned=pb.Return(corr_id=call_id))
    within = (pb.WorkerMessage.RETURNED_FIELD_NUMBER, pb.Return.VALUE_FIELD_NUMBER)
    return answer.SerializeToString(), *nested(value.parts, *within)


def error(venv: str, call_id: str, text: str) -> Parts:
    """Return a worker's message with the reason why a function has no result."""
    answer = pb.Return(corr_id=call_id, error=text)
    return _to_worker(pb.WorkerMessage(conn=venv, type=pb.D_RETURN, returned=answer))


def _to_client(message: pb.Message) -> Parts:
    return (message.SerializeToString(),)


def _to_worker(message: pb.WorkerMessage) -> Parts:
    return (message.SerializeToString(),)
