"""The upload of a file by its descriptor: the server makes the copy."""

from __future__ import annotations

from typing import Final

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.random_ids import random_id
from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.payload import Upload
from actorc.storage._rpc.retries.deadline import time_for
from actorc.storage._rpc.write_call import WriteCall
from actorc.storage._wire import messages
from actorc.storage.errors import DamagedMessageError
from actorc.storage.models import Destination, ObjectInfo
from actorc.storage.rules import MiB

_AT_ONCE: Final = 32 * MiB
"""Bytes that the server copies before it answers, so that progress is seen, and a server that hangs is noticed."""


class FileWrite:
    """An upload as `Rpc.send` drives it; all attempts carry one idempotency key, so at most one is stored.

    The file is read by the server, so what is stored is what the file held when its bytes were copied.

    Args:
        upload: The file, whose size is known.
        descriptor: The file, open for reading.
        start: Position of the first byte in it.
        destination: Name, attributes and condition of the object.
    """

    replayable: Final = True

    def __init__(self, upload: Upload, descriptor: int, start: int, destination: Destination) -> None:
        self._upload = upload
        self._size = upload.size or 0
        self._descriptor = descriptor
        self._start = start
        self._open = pb.WriteOpen(
            **messages.destination_fields(destination), idempotency_key=random_id(), declared_size=self._size
        )

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self._open.bucket

    @property
    def key(self) -> str:
        """The key of the object."""
        return self._open.key

    def send(self, call: WriteCall) -> ObjectInfo | None:
        """Have the file copied and stored; return the description of the object, None if the call passes no files."""
        if not call.passes_files:
            return None
        call.send(pb.WriteObjectRequest(open=self._open))
        if not call.answer().HasField("accepted"):
            raise DamagedMessageError("the server answered the beginning of an upload with something else")
        for done in range(0, self._size, _AT_ONCE):
            self._copy(call, done, min(_AT_ONCE, self._size - done))
        self._upload.check()
        call.send(pb.WriteObjectRequest(commit=pb.WriteCommit(size=self._size, copied=True)))
        call.finish()
        answer = call.answer(time_for(self._size))
        with answer_checks.damaged_answers():
            info = messages.object_info(answer.done)
            return answer_checks.of_write(info, self._open.bucket, self._open.key, self._size, None)

    def _copy(self, call: WriteCall, done: int, length: int) -> None:
        part = pb.FileRange(offset=self._start + done, length=length)
        call.send(pb.WriteObjectRequest(file=part), self._descriptor if done == 0 else None)
        if call.answer(time_for(length)).copied.size != done + length:
            raise DamagedMessageError("the server copied other bytes than it was asked to")
        self._upload.report(done + length)
