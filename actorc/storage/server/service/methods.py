"""The methods of the service by name: their kind, what they do, and how their requests are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from actorc.storage._wire import call_headers
from actorc.storage._wire.chunk_codec import WRITE_CHUNK_FIELD, decode_chunk
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import Chunk

from .service import StorageService

Reader = Callable[..., Any]
"""Returns the request in a serialized message."""


class Kind(Enum):
    """How many messages go each way."""

    UNARY = "one request, one answer"
    DOWNLOAD = "one request, a stream of answers"
    UPLOAD = "a stream of requests, a stream of answers"


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the service."""

    name: str
    kind: Kind
    behavior: Callable[..., Any]
    """Takes the request, or an iterator of them, and the call; returns the answer, or an iterator of them."""
    read: Reader
    """Raises `InvalidParameterError` for bytes that are no request of this method."""


def methods_of(service: StorageService) -> Mapping[str, Method]:
    """Return every method of the descriptor, by name."""
    return {method.name: _method(method, service) for method in call_headers.SERVICE.methods}


def _method(method: MethodDescriptor, service: StorageService) -> Method:
    behavior = getattr(service, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())
    read = _reader(GetMessageClass(method.input_type))
    if method.client_streaming:
        return Method(method.name, Kind.UPLOAD, behavior, _write_frame_reader(read))
    return Method(method.name, Kind.DOWNLOAD if method.server_streaming else Kind.UNARY, behavior, read)


def _reader(message_class: type[Message]) -> Callable[[bytes], Any]:
    """Return a deserializer whose exceptions say what to do."""

    def read(data: bytes) -> Message:
        try:
            return message_class.FromString(data)
        except DecodeError as error:
            raise InvalidParameterError(
                f"the request is no {message_class.DESCRIPTOR.name}; compare your .proto"
            ) from error

    return read


def _write_frame_reader(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read_frame(data: bytes, opened: Callable[[bytes], bytes] = lambda message: message) -> Any:
        """Return a frame; `opened` verifies a message that is no chunk, since chunks have checksums of their own."""
        chunk = decode_chunk(WRITE_CHUNK_FIELD, data)
        if chunk is not None:
            return chunk
        message = read(opened(data))
        if message.WhichOneof("frame") == "chunk":
            return Chunk(message.chunk.offset, message.chunk.data, message.chunk.crc32c)
        return message

    return read_frame
