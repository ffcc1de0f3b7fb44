"""One upload and one download as `Rpc` drives them, attempt by attempt."""

from __future__ import annotations

import uuid

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb

from . import _wire
from ._deadline import time_for
from ._frames import READ_CHUNK_FIELD, decode_chunk
from ._transfer import Download, Upload
from ._upload import WriteCall
from .models import ByteRange, Destination
from .rules import MAX_ANSWER_SIZE


def fresh_key() -> str:
    """Return an idempotency key no other call has."""
    return uuid.uuid4().hex


class Write:
    """An upload; all attempts carry one idempotency key, so at most one is stored."""

    def __init__(self, upload: Upload, opening: pb.WriteOpen) -> None:
        self._upload = upload
        self._open = opening
        self._open.idempotency_key = fresh_key()
        self._open.declared_size = upload.size or 0

    @classmethod
    def of_object(cls, upload: Upload, destination: Destination) -> Write:
        """Return the upload of an object; `send` returns an ``ObjectInfo`` message."""
        opening = pb.WriteOpen(
            bucket=destination.bucket,
            key=destination.key,
            content_type=destination.attributes.content_type,
            metadata=dict(destination.attributes.metadata),
            condition=_wire.condition_message(destination.condition),
            ttl_seconds=destination.attributes.ttl or 0,
        )
        return cls(upload, opening)

    @classmethod
    def of_part(cls, upload: Upload, bucket: str, key: str, upload_id: str, number: int) -> Write:
        """Return the upload of a part; `send` returns a ``PartInfo`` message."""
        part = pb.Part(upload_id=upload_id, number=number)
        return cls(upload, pb.WriteOpen(bucket=bucket, key=key, part=part))

    @property
    def replayable(self) -> bool:
        """Whether `send` can be called again."""
        return self._upload.replayable

    def send(self, call: WriteCall) -> pb.WriteObjectResponse:
        """Send everything and return the last answer."""
        call.send(pb.WriteObjectRequest(open=self._open))
        call.answer()
        for chunk in self._upload.chunks():
            call.send_chunk(chunk)
        commit = pb.WriteCommit(size=self._upload.sent, crc32c=self._upload.checksum())
        call.send(pb.WriteObjectRequest(commit=commit))
        call.finish()
        return call.answer(time_for(self._upload.sent))


class SmallRead:
    """A download that fits into one answer, if the server finds that it does."""

    def __init__(self, bucket: str, key: str, part: ByteRange, generation: int | None, if_match: str | None) -> None:
        self._part = part
        self._generation = generation
        self.request = pb.GetObjectRequest(
            bucket=bucket,
            key=key,
            range=_wire.range_message(part),
            generation=generation or 0,
            if_match=if_match or "",
        )

    @property
    def fits(self) -> bool:
        """Whether no more bytes are asked for than an answer holds."""
        return self._part.length is not None and self._part.length <= MAX_ANSWER_SIZE

    @property
    def may_fit(self) -> bool:
        """Whether that may be so."""
        return self.fits or self._part.length is None

    def accept(self, message: bytes) -> bytes | None:
        """Return the proven bytes in an answer, None if they are too many for one."""
        answer = pb.GetObjectResponse.FromString(message)
        if answer.too_large:
            return None
        download = Download(self._part, self._generation)
        download.describe(_wire.object_info(answer.object))
        data = b"".join([download.feed(_wire.chunk(chunk)) for chunk in answer.chunks])
        download.finish()
        return data


class Read:
    """A download; every attempt asks for what is still missing."""

    def __init__(self, bucket: str, key: str, download: Download, if_match: str | None) -> None:
        self._bucket = bucket
        self._key = key
        self._download = download
        self._if_match = if_match or ""

    def request(self) -> bytes:
        """Return the serialized request for what is missing."""
        return pb.ReadObjectRequest(
            bucket=self._bucket,
            key=self._key,
            ranges=[_wire.range_message(self._download.remaining())],
            generation=self._download.generation or 0,
            if_match=self._if_match,
        ).SerializeToString()

    def accept(self, message: bytes) -> bytes | memoryview:
        """Return the proven payload of one message; empty if it carries none."""
        chunk = decode_chunk(READ_CHUNK_FIELD, message)
        if chunk is not None:
            return self._download.feed(chunk)
        parsed = pb.ReadObjectResponse.FromString(message)
        if parsed.HasField("object"):
            self._download.describe(_wire.object_info(parsed.object))
            return b""
        return self._download.feed(_wire.chunk(parsed.chunk))

    def finish(self) -> None:
        """Check that everything came."""
        self._download.finish()
