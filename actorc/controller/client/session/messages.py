"""Serialized messages of a session; the client builds them here alone, and `session` reads the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.client.functions.definition import Definition
from actorc.controller.client.functions.remote_objects import ObjectDefinition
from actorc.controller.client.remote_references import CallKey, RemoteValue
from actorc.controller.protocol.protobuf_fields import Parts, nested
from actorc.controller.protocol.value_codec import Encoded

METHOD: Final = "/controller.Service/Session"
MAX_MESSAGE_SIZE: Final = 512 << 20
"""Bytes; the platform's limit in both directions."""

Argument: TypeAlias = Encoded | RemoteValue

_BARRIER_ID: Final = "lucas-storage.mark"


def register(app_id: str) -> Parts:
    """Return the message that registers an application; it opens the session."""
    command = pb.RegisterRequest(application_id=app_id, batches=True)
    return (pb.Message(type=pb.FR_REGISTER_REQUEST, register_request=command).SerializeToString(),)


def append_function(definition: Definition, name: str, replicas: int, timeout: float | None, pickled: bytes) -> Parts:
    """Return the message that registers a function under `name`; it has no answer.

    `timeout` is the seconds a call may take, if the user set any; only the embedded controller enforces it.
    """
    command = pb.AppendPyFunc(
        name=name,
        params=definition.parameters,
        venv=definition.venv,
        requirements=definition.requirements,
        language=pb.LANGUAGE_PYTHON,
        resources=pb.Resources(cpu=definition.cpu, memory=definition.memory, gpu=definition.gpu),
        replicas=replicas,
        timeout=timeout or 0.0,
    )
    function = (pickled,)
    parts = (command.SerializeToString(), *nested(function, pb.AppendPyFunc.PICKLED_OBJECT_FIELD_NUMBER))
    return _message(pb.FR_APPEND_PY_FUNC, parts, pb.Message.APPEND_PY_FUNC_FIELD_NUMBER)


def append_object(definition: ObjectDefinition, timeout: float | None, pickled: bytes) -> Parts:
    """Return the message that registers an object whose calls may take `timeout` seconds; it has no answer."""
    command = pb.AppendPyClass(
        name=definition.key,
        methods=[pb.AppendPyClass.ClassMethod(name=name, params=params) for name, params in definition.methods],
        venv=definition.venv,
        requirements=definition.requirements,
        language=pb.LANGUAGE_PYTHON,
        resources=pb.Resources(cpu=definition.cpu, memory=definition.memory, gpu=definition.gpu),
        replicas=definition.replicas,
        timeout=timeout or 0,
    )
    parts = (command.SerializeToString(), *nested((pickled,), pb.AppendPyClass.PICKLED_OBJECT_FIELD_NUMBER))
    return _message(pb.FR_APPEND_PY_CLASS, parts, pb.Message.APPEND_PY_CLASS_FIELD_NUMBER)


def append_data() -> Parts:
    """Return the message of a barrier: it stores an unused value, and the answer satisfies `is_barrier`.

    All barriers share one id, because the platform never forgets a value.
    """
    command = pb.AppendData(object=pb.EncodedObject(id=_BARRIER_ID, data=b"null", language=pb.LANGUAGE_JSON))
    return (pb.Message(type=pb.FR_APPEND_DATA, append_data=command).SerializeToString(),)


def is_barrier(result: pb.ReturnResult) -> bool:
    """Return whether a result is the answer to a barrier."""
    return result.name == _BARRIER_ID and not result.instance_id


def call(key: CallKey, name: str, arguments: Mapping[str, Argument], *, of_object: bool) -> list[Parts]:
    """Return the messages of a call of `name`: its arguments, then its start; `of_object` is true for a method.

    References are sent first. Ignis assigns a replica to a call when its first argument arrives, and two of its actors
    check for one: for a reference at once, for a value after storing it. In this order the first check is over before
    the second begins, so one call never takes two replicas.
    """
    in_order = sorted(arguments.items(), key=lambda item: isinstance(item[1], Encoded))
    begin = pb.Invoke(session_id=key.session_id, instance_id=key.instance_id, name=name)
    return [
        *((append_method_argument if of_object else append_argument)(key, name, *each) for each in in_order),
        (pb.Message(type=pb.FR_INVOKE, invoke=begin).SerializeToString(),),
    ]


def append_argument(key: CallKey, name: str, parameter: str, argument: Argument) -> Parts:
    """Return the message with one argument of a call."""
    command = pb.AppendArg(session_id=key.session_id, instance_id=key.instance_id, name=name, param=parameter)
    value = _data(argument, f"obj.{key.session_id}.{key.instance_id}.{parameter}")
    parts = (command.SerializeToString(), *nested(value, pb.AppendArg.VALUE_FIELD_NUMBER))
    return _message(pb.FR_APPEND_ARG, parts, pb.Message.APPEND_ARG_FIELD_NUMBER)


def append_method_argument(key: CallKey, name: str, parameter: str, argument: Argument) -> Parts:
    """Return the message with one argument of a call of a method."""
    command = pb.AppendClassMethodArg(
        session_id=key.session_id, instance_id=key.instance_id, method_name=name, param=parameter
    )
    value = _data(argument, f"obj.{key.session_id}.{key.instance_id}.{parameter}")
    parts = (command.SerializeToString(), *nested(value, pb.AppendClassMethodArg.VALUE_FIELD_NUMBER))
    return _message(pb.FR_APPEND_CLASS_METHOD_ARG, parts, pb.Message.APPEND_CLASS_METHOD_ARG_FIELD_NUMBER)


def request(value: RemoteValue) -> Parts:
    """Return the message that asks for the value of a reference."""
    command = pb.RequestObject(id=value.id)
    return (pb.Message(type=pb.FR_REQUEST_OBJECT, request_object=command).SerializeToString(),)


def done(key: CallKey) -> Parts:
    """Return the message that releases the result of a call; it has no answer."""
    command = pb.MarkDagNodeDone(node_id=key.instance_id, session_id=key.session_id)
    return (pb.Message(type=pb.FR_MARK_DAG_NODE_DONE, mark_dag_node_done=command).SerializeToString(),)


def _data(argument: Argument, object_id: str) -> Parts:
    if isinstance(argument, RemoteValue):
        return (argument.reference,)
    head = pb.EncodedObject(id=object_id, language=pb.Language.ValueType(argument.language)).SerializeToString()
    value = (head, *nested((argument.data,), pb.EncodedObject.DATA_FIELD_NUMBER))
    kind = pb.Data(type=pb.Data.OBJECT_ENCODED).SerializeToString()
    return kind, *nested(value, pb.Data.ENCODED_FIELD_NUMBER)


def _message(kind: pb.CommandType.ValueType, command: Parts, number: int) -> Parts:
    """Return a message around a command whose large field is not copied."""
    return pb.Message(type=kind).SerializeToString(), *nested(command, number)
