"""Files that go between the server and a client on the same machine: those of an object, and that of an upload."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, Self

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire import messages
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import ObjectInfo
from actorc.storage.rules import MiB
from actorc.storage.server.engines.readers_writers import FileSegment

from .call import Call

_MAX_FILES: Final = 64
"""Descriptors that are passed for one object; Linux passes 253 at most with a message."""
_MAX_ANSWER: Final = MiB
"""Bytes of the answer for an open object, of which each block takes four."""


def opened(info: ObjectInfo, files: Sequence[FileSegment], call: Call) -> pb.OpenObjectResponse:
    """Return the answer for an open object; pass its files along, unless the transport cannot or they are too many."""
    answer = pb.OpenObjectResponse(object=messages.object_message(info))
    descriptors = [file.descriptor for file in files if file.descriptor >= 0]
    if not call.passes_files or not 0 < len(descriptors) <= _MAX_FILES:
        return answer
    answer.segments.extend(map(_segment, files))
    if answer.ByteSize() > _MAX_ANSWER:
        del answer.segments[:]
    else:
        call.pass_files(descriptors)
    return answer


def _segment(file: FileSegment) -> pb.Segment:
    return pb.Segment(size=file.size, sums=file.sums, is_unchanged=file.is_unchanged, data=file.data or b"")


class UploadedFile:
    """The file that an upload is copied from. A context manager that closes it.

    Args:
        call: The call of the upload.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._descriptor: int | None = None

    def descriptor(self) -> int:
        """Return the descriptor that came with this message of the upload, or an earlier one.

        Raises:
            InvalidParameterError: None came.
        """
        received = self._call.received_file()
        if received is not None:
            self._close()
            self._descriptor = received
        if self._descriptor is None:
            raise InvalidParameterError("no file came with the message; send its bytes as chunks")
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
