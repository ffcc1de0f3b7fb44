"""An upload as a stream: what opens it, its bytes, and the commit."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire import messages
from actorc.storage.errors import DamagedMessageError, InvalidParameterError
from actorc.storage.models import Chunk, ObjectInfo, PartInfo
from actorc.storage.rules import MAX_CHUNK_SIZE
from actorc.storage.server.auth.authorized_store import AuthorizedStore
from actorc.storage.server.store.upload import Upload

from . import files
from .call import Call

WriteFrame = Chunk | pb.WriteObjectRequest


def received(store: AuthorizedStore, frames: Iterator[WriteFrame], call: Call) -> Iterator[pb.WriteObjectResponse]:
    """Store the bytes that come, and yield the answers: that they are taken, what was copied, and what was stored.

    Raises:
        StorageError: The upload is refused, and nothing is stored.
    """
    opening = _opening(frames)
    call.bucket, call.key = opening.bucket, opening.key
    with _begun(store, opening, call) as upload:
        yield pb.WriteObjectResponse(accepted=pb.WriteAccepted(max_chunk_size=MAX_CHUNK_SIZE))
        commit = yield from _fill(upload, frames, call)
        if commit.copied:
            info = upload.commit_imported(size=commit.size)
        else:
            info = upload.commit(size=commit.size, crc32c=commit.crc32c)
    yield _written(info)


def _begun(store: AuthorizedStore, opening: pb.WriteOpen, call: Call) -> Upload[ObjectInfo] | Upload[PartInfo]:
    if opening.HasField("part"):
        return store.multipart.begin_part(
            opening.bucket,
            opening.key,
            opening.part.upload_id,
            opening.part.number,
            idempotency_key=opening.idempotency_key,
            declared_size=opening.declared_size or None,
        )
    return store.begin_write(
        opening.bucket,
        opening.key,
        attributes=messages.attributes(opening, opening.ttl_seconds),
        condition=messages.condition(opening.condition),
        idempotency_key=opening.idempotency_key,
        declared_size=opening.declared_size or None,
        check_early=call.first_attempt or not opening.idempotency_key,
    )


def _written(info: ObjectInfo | PartInfo) -> pb.WriteObjectResponse:
    if isinstance(info, PartInfo):
        return pb.WriteObjectResponse(part_done=messages.part_message(info))
    return pb.WriteObjectResponse(done=messages.object_message(info))


def _opening(frames: Iterator[WriteFrame]) -> pb.WriteOpen:
    first = next(frames, None)
    if not isinstance(first, pb.WriteObjectRequest) or first.WhichOneof("frame") != "open":
        raise InvalidParameterError("an upload begins with an open message; send bucket and key first")
    return first.open


def _fill(
    upload: Upload[Any], frames: Iterator[WriteFrame], call: Call
) -> Generator[pb.WriteObjectResponse, None, pb.WriteCommit]:
    """Take the bytes of an upload; yield the answers to what is copied, and return the commit message."""
    with files.UploadedFile(call) as file:
        for frame in frames:
            if isinstance(frame, Chunk):
                # from a client that seals its messages a wrong offset is damage, from others a mistake of theirs
                if call.is_checked and frame.offset != call.bytes:
                    raise DamagedMessageError("bytes arrived out of order and were not stored; send them again")
                upload.write(frame)
                call.bytes += len(frame.data)
                continue
            match frame.WhichOneof("frame"):
                case "file":
                    call.bytes = upload.import_file(file.descriptor(), frame.file.offset, frame.file.length)
                    yield pb.WriteObjectResponse(copied=pb.FileCopied(size=call.bytes))
                case "commit":
                    return frame.commit
                case _:
                    raise InvalidParameterError("an upload is opened once; send chunks, then commit")
    raise InvalidParameterError("the stream ended without a commit message and nothing was stored; send one last")
