"""The files that reflection tells of, and its own messages, which are made here.

The package that ships them pins another protobuf, and registering its files a second time would fail, so all of them
are in a pool of their own. A caller learns of nothing else that the process has loaded.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass

from actorc.storage._wire import call_headers

_REFLECTION: Final = "grpc.reflection.v1"
SERVICES: Final = (call_headers.SERVICE.full_name, "grpc.health.v1.Health", f"{_REFLECTION}.ServerReflection")


def _field(name: str, number: int, kind: str, *, repeated: bool = False, oneof: bool = False) -> dict[str, Any]:
    made = {"name": name, "number": number, "label": "LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"}
    made |= {"type": f"TYPE_{kind.upper()}"} if kind.islower() else {"typeName": kind}
    return made | ({"oneofIndex": 0} if oneof else {})


def _message(name: str, *fields: dict[str, Any], oneof: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "field": fields, **({"oneofDecl": [{"name": oneof}]} if oneof else {}), **more}


def _service(name: str, method: str, given: str, answer: str, **streams: bool) -> dict[str, Any]:
    return {"name": name, "method": [{"name": method, "inputType": given, "outputType": answer, **streams}]}


_HEALTH_FILE: Final = {
    "name": "grpc/health/v1/health.proto",
    "package": "grpc.health.v1",
    "syntax": "proto3",
    "messageType": [
        _message("HealthCheckRequest", _field("service", 1, "string")),
        _message(
            "HealthCheckResponse",
            _field("status", 1, ".grpc.health.v1.HealthCheckResponse.ServingStatus"),
            enumType=[
                {
                    "name": "ServingStatus",
                    "value": [
                        {"name": name, "number": number}
                        for number, name in enumerate(("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"))
                    ],
                }
            ],
        ),
    ],
    "service": [
        _service("Health", "Check", ".grpc.health.v1.HealthCheckRequest", ".grpc.health.v1.HealthCheckResponse")
    ],
}
_REFLECTION_FILE: Final = {
    "name": "grpc/reflection/v1/reflection.proto",
    "package": _REFLECTION,
    "syntax": "proto3",
    "messageType": [
        _message(
            "ServerReflectionRequest",
            _field("host", 1, "string"),
            _field("file_by_filename", 3, "string", oneof=True),
            _field("file_containing_symbol", 4, "string", oneof=True),
            _field("file_containing_extension", 5, f".{_REFLECTION}.ExtensionRequest", oneof=True),
            _field("all_extension_numbers_of_type", 6, "string", oneof=True),
            _field("list_services", 7, "string", oneof=True),
            oneof="message_request",
        ),
        _message("ExtensionRequest", _field("containing_type", 1, "string"), _field("extension_number", 2, "int32")),
        _message(
            "ServerReflectionResponse",
            _field("valid_host", 1, "string"),
            _field("original_request", 2, f".{_REFLECTION}.ServerReflectionRequest"),
            _field("file_descriptor_response", 4, f".{_REFLECTION}.FileDescriptorResponse", oneof=True),
            _field("all_extension_numbers_response", 5, f".{_REFLECTION}.ExtensionNumberResponse", oneof=True),
            _field("list_services_response", 6, f".{_REFLECTION}.ListServiceResponse", oneof=True),
            _field("error_response", 7, f".{_REFLECTION}.ErrorResponse", oneof=True),
            oneof="message_response",
        ),
        _message("FileDescriptorResponse", _field("file_descriptor_proto", 1, "bytes", repeated=True)),
        _message(
            "ExtensionNumberResponse",
            _field("base_type_name", 1, "string"),
            _field("extension_number", 2, "int32", repeated=True),
        ),
        _message("ListServiceResponse", _field("service", 1, f".{_REFLECTION}.ServiceResponse", repeated=True)),
        _message("ServiceResponse", _field("name", 1, "string")),
        _message("ErrorResponse", _field("error_code", 1, "int32"), _field("error_message", 2, "string")),
    ],
    "service": [
        _service(
            "ServerReflection",
            "ServerReflectionInfo",
            f".{_REFLECTION}.ServerReflectionRequest",
            f".{_REFLECTION}.ServerReflectionResponse",
            clientStreaming=True,
            serverStreaming=True,
        )
    ],
}


def with_dependencies(file: FileDescriptor) -> dict[str, bytes]:
    """Return a file and all that it imports, serialized, by name; what is imported comes first."""
    found: dict[str, bytes] = {}
    for imported in file.dependencies:
        found |= with_dependencies(imported)
    return {**found, file.name: file.serialized_pb}


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for serialized in with_dependencies(call_headers.SERVICE.file).values():
        pool.AddSerializedFile(serialized)
    for file in (_HEALTH_FILE, _REFLECTION_FILE):
        pool.AddSerializedFile(ParseDict(file, FileDescriptorProto()).SerializeToString())
    return pool


POOL: Final = _pool()
Request: Final[Any] = GetMessageClass(POOL.FindMessageTypeByName(f"{_REFLECTION}.ServerReflectionRequest"))
Response: Final[Any] = GetMessageClass(POOL.FindMessageTypeByName(f"{_REFLECTION}.ServerReflectionResponse"))
