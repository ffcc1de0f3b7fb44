"""The service grpc.reflection.v1, by which tools such as grpcurl call the server without its .proto file.

It tells only what the .proto file does, so it needs no key, as probes of health do. Such callers have a few threads of
their own, a few seconds for each message and a number of messages; while others occupy the threads, they are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import grpc
from google.protobuf.descriptor import FileDescriptor

from actorc.storage._wire import idle
from actorc.storage.server.service.admission import CallPool

from .behavior import CALLER_THREAD, Behavior
from .reflection_messages import POOL, SERVICES, Request, Response, with_dependencies

# the older name has the same messages; tools that are some years old know no other
_METHODS: Final = frozenset(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
_THREADS: Final = 2
_MESSAGE_SECONDS: Final = 5.0
"""Seconds that a caller has for each message."""
_MAX_MESSAGES: Final = 1000
_MAX_SIZE: Final = 4096
"""Bytes of a request, which its answer repeats."""


class Reflection(grpc.GenericRpcHandler):
    """Answers which services there are, and with the files that describe them. Any thread may call it."""

    def __init__(self) -> None:
        self._callers = CallPool(_THREADS, waiting=0, name="storage-reflection")

    def close(self) -> None:
        """Stop the threads."""
        self._callers.shutdown()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call for reflection, None for any other call."""
        if handler_call_details.method not in _METHODS:
            return None
        if self._callers.is_busy:
            behavior = Behavior(_refuse, pool=CALLER_THREAD)
        else:
            behavior = Behavior(_answers, pool=self._callers)
        return grpc.stream_stream_rpc_method_handler(behavior, Request.FromString, Response.SerializeToString)


def _refuse(_requests: Iterator[Any], context: grpc.ServicerContext) -> None:
    context.abort(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"{_THREADS} callers ask for reflection already; try again in a moment, or use the .proto file",
    )


def _answers(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    for request in islice(_in_time(requests, context), _MAX_MESSAGES):
        if request.ByteSize() > _MAX_SIZE:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"a request has at most {_MAX_SIZE} bytes")
        answer = Response(valid_host=request.host, original_request=request)
        _fill(answer, request)
        yield answer


def _in_time(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    while True:
        with idle.watch.guard(_MESSAGE_SECONDS, context.cancel):
            request = next(requests, None)
        if request is None:
            return
        yield request


def _fill(answer: Any, request: Any) -> None:
    asked = request.WhichOneof("message_request")
    try:
        if asked == "list_services":
            for name in SERVICES:
                answer.list_services_response.service.add(name=name)
        elif asked == "file_by_filename":
            _add_files(answer, POOL.FindFileByName(request.file_by_filename))
        elif asked == "file_containing_symbol":
            _add_files(answer, _file_of(request.file_containing_symbol))
        elif asked == "all_extension_numbers_of_type":
            # there are no extensions, since all messages are of proto3
            POOL.FindMessageTypeByName(request.all_extension_numbers_of_type)
            answer.all_extension_numbers_response.base_type_name = request.all_extension_numbers_of_type
        else:
            _fail(answer, grpc.StatusCode.NOT_FOUND, "the server has no extensions; ask for a file or a symbol")
    except KeyError:
        _fail(answer, grpc.StatusCode.NOT_FOUND, f"the server has none of this name; it has {', '.join(SERVICES)}")


def _file_of(symbol: str) -> FileDescriptor:
    try:
        return POOL.FindFileContainingSymbol(symbol)
    except KeyError:
        # not every implementation of protobuf finds methods and fields
        return POOL.FindFileContainingSymbol(symbol.rpartition(".")[0])


def _add_files(answer: Any, file: FileDescriptor) -> None:
    answer.file_descriptor_response.file_descriptor_proto.extend(reversed(with_dependencies(file).values()))


def _fail(answer: Any, code: grpc.StatusCode, message: str) -> None:
    answer.error_response.error_code = code.value[0]
    answer.error_response.error_message = message
