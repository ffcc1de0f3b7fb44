"""The messages of a session, serialized; no other module of the client builds them, and only `session` reads them."""

from __future__ import annotations

from typing import Final, TypeAlias

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

from .definition import Definition
from .encoding import Encoded
from .values import CallKey, RemoteValue

METHOD: Final = "/controller.Service/Session"
MAX_MESSAGE_SIZE: Final = 512 << 20
"""Bytes; what the platform accepts in both directions."""

Argument: TypeAlias = Encoded | RemoteValue


def register(app_id: str) -> bytes:
    """Open the session of an application."""
    command = pb.RegisterRequest(application_id=app_id, batches=True)
    return pb.Message(type=pb.FR_REGISTER_REQUEST, register_request=command).SerializeToString()


def append_function(definition: Definition, pickled: bytes) -> bytes:
    """Register a function; there is no answer."""
    command = pb.AppendPyFunc(
        name=definition.name,
        params=definition.signature.names,
        venv=definition.venv,
        requirements=definition.requirements,
        pickled_object=pickled,
        language=pb.LANGUAGE_PYTHON,
        resources=pb.Resources(cpu=definition.cpu, memory=definition.memory, gpu=definition.gpu),
        replicas=definition.replicas,
    )
    return pb.Message(type=pb.FR_APPEND_PY_FUNC, append_py_func=command).SerializeToString()


def append_argument(call: CallKey, parameter: str, argument: Argument) -> bytes:
    """Give a call one of its arguments."""
    command = pb.AppendArg(
        session_id=call.session_id,
        instance_id=call.instance_id,
        name=call.function,
        param=parameter,
        value=_data(argument, f"obj.{call.session_id}.{call.instance_id}.{parameter}"),
    )
    return pb.Message(type=pb.FR_APPEND_ARG, append_arg=command).SerializeToString()


def invoke(call: CallKey) -> bytes:
    """Start a call whose arguments have been given."""
    command = pb.Invoke(session_id=call.session_id, instance_id=call.instance_id, name=call.function)
    return pb.Message(type=pb.FR_INVOKE, invoke=command).SerializeToString()


def request(value: RemoteValue) -> bytes:
    """Ask for what is behind a reference."""
    return pb.Message(type=pb.FR_REQUEST_OBJECT, request_object=pb.RequestObject(id=value.id)).SerializeToString()


def done(call: CallKey) -> bytes:
    """Say that nobody needs the result of a call any more; there is no answer."""
    command = pb.MarkDagNodeDone(node_id=call.instance_id, session_id=call.session_id)
    return pb.Message(type=pb.FR_MARK_DAG_NODE_DONE, mark_dag_node_done=command).SerializeToString()


def reference(value: RemoteValue) -> bytes:
    """Return the serialised data that names a result."""
    return _data(value, "").SerializeToString()


def _data(argument: Argument, object_id: str) -> pb.Data:
    if isinstance(argument, RemoteValue):
        return pb.Data(type=pb.Data.OBJECT_REF, ref=pb.Flow(id=argument.id))
    language = pb.Language.ValueType(argument.language)
    encoded = pb.EncodedObject(id=object_id, data=argument.data, language=language)
    return pb.Data(type=pb.Data.OBJECT_ENCODED, encoded=encoded)
