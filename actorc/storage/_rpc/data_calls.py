"""The messages of one upload and of one download, as `Rpc` sends and receives them in each attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.random_ids import random_id
from actorc.storage._wire import messages
from actorc.storage._wire.chunk_codec import READ_CHUNK_FIELD, decode_chunk
from actorc.storage.errors import DamagedMessageError, IntegrityError
from actorc.storage.models import WHOLE, ByteRange, Chunk, Destination, ObjectInfo, PartInfo
from actorc.storage.rules import MAX_ANSWER_SIZE

from . import answer_checks
from .payload import Download, Upload, whole_object
from .retries.deadline import time_for
from .write_call import WriteCall

T = TypeVar("T")


class Write(Generic[T]):
    """An upload; all attempts carry one idempotency key, so at most one is stored.

    Args:
        upload: The bytes.
        opening: The first message: name, attributes and condition.
        judge: Returns the result from the last answer, or raises if that is not for this upload.
        waits: Whether bytes flow only once the server has accepted, so that a refusal, of a permission or a condition,
            costs no upload. It takes a round trip.
    """

    def __init__(
        self,
        upload: Upload,
        opening: pb.WriteOpen,
        judge: Callable[[pb.WriteObjectResponse], T],
        *,
        waits: bool = True,
    ) -> None:
        self._upload = upload
        self._judge = judge
        self._waits = waits
        self._open = opening
        # one key for all attempts: the server recognises a repeated write by it, and stores it once
        self._open.idempotency_key = random_id()
        self._open.declared_size = upload.size or 0

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self._open.bucket

    @property
    def key(self) -> str:
        """The key of the object."""
        return self._open.key

    @staticmethod
    def of_object(upload: Upload, destination: Destination) -> Write[ObjectInfo]:
        """Return the upload of an object."""
        bucket, key = destination.bucket, destination.key
        opening = pb.WriteOpen(**messages.destination_fields(destination))

        def judge(answer: pb.WriteObjectResponse) -> ObjectInfo:
            return answer_checks.of_write(
                messages.object_info(answer.done), bucket, key, upload.sent, upload.checksum()
            )

        return Write(upload, opening, judge)

    @staticmethod
    def of_part(upload: Upload, bucket: str, key: str, upload_id: str, number: int) -> Write[PartInfo]:
        """Return the upload of a part."""
        opening = pb.WriteOpen(bucket=bucket, key=key, part=pb.Part(upload_id=upload_id, number=number))

        def judge(answer: pb.WriteObjectResponse) -> PartInfo:
            return answer_checks.of_part(messages.part_info(answer.part_done), number, upload.sent, upload.checksum())

        # the server has accepted the upload that the part belongs to
        return Write(upload, opening, judge, waits=False)

    @property
    def replayable(self) -> bool:
        """Whether `send` can be called again."""
        return self._upload.replayable

    def send(self, call: WriteCall) -> T:
        """Send all frames and the commit; return the description of the stored object or part."""
        call.send(pb.WriteObjectRequest(open=self._open))
        if self._waits:
            _check_accepted(call)
        for chunk in self._upload.chunks():
            call.send_chunk(chunk)
        if not self._waits:
            # before the commit, which is patient: a server that is silent by now has not even begun
            _check_accepted(call)
        commit = pb.WriteCommit(size=self._upload.sent, crc32c=self._upload.checksum())
        call.send(pb.WriteObjectRequest(commit=commit))
        # half-closed before the wait: a server stores only after a commit that is the last message
        call.finish()
        answer = call.answer(time_for(self._upload.sent))
        with answer_checks.damaged_answers():
            return self._judge(answer)


def _check_accepted(call: WriteCall) -> None:
    if not call.answer().HasField("accepted"):
        raise DamagedMessageError("the server answered the beginning of an upload with something else")


class SmallRead:
    """A download in one unary answer, if the object is small enough."""

    def __init__(self, bucket: str, key: str, part: ByteRange, generation: int | None, if_match: str | None) -> None:
        self._part = part
        self._generation = generation
        self.is_plain = generation is None and not if_match and not part.offset and part.length is None
        """Whether all of the current object is wanted, whichever it is."""
        self.request = pb.GetObjectRequest(
            bucket=bucket,
            key=key,
            range=messages.range_message(part),
            generation=generation or 0,
            if_match=if_match or "",
        )

    @property
    def fits(self) -> bool:
        """Whether the range is small enough for one answer."""
        return self._part.length is not None and self._part.length <= MAX_ANSWER_SIZE

    @property
    def may_fit(self) -> bool:
        """Whether the range is small enough, or has no known length."""
        return self.fits or self._part.length is None

    def accept(self, answer: pb.GetObjectResponse) -> bytes | None:
        """Return the verified bytes of an answer, or None if the object is too large for one."""
        if answer.too_large:
            return None
        asked = self.request
        info = messages.object_info(answer.object)
        # described before it is fed: bytes of another object are refused before they are summed
        answer_checks.of_read(info, asked.bucket, asked.key, self._generation, asked.if_match)
        if len(answer.chunks) == 1 and self._part == WHOLE:
            return whole_object(messages.chunk(answer.chunks[0]), info)
        download = Download(self._part, self._generation)
        download.describe(info)
        data = b"".join([download.feed(messages.chunk(chunk)) for chunk in answer.chunks])
        download.finish()
        return data


class Read:
    """A download as a stream; every attempt asks for the bytes that are still missing.

    All bytes are verified here, so the server need not do it, until some arrive damaged: then only it can tell whether
    that happened on the way or on its disk.

    Args:
        bucket: Bucket of the object.
        key: Key of the object.
        download: The range, and what has arrived of it.
        if_match: The etag that the object must have.
        may_repeat: Whether a failed attempt is followed by another.
    """

    def __init__(
        self, bucket: str, key: str, download: Download, if_match: str | None, *, may_repeat: bool = True
    ) -> None:
        self.bucket = bucket
        self.key = key
        self._download = download
        self._if_match = if_match or ""
        self._takes_unverified = may_repeat

    @property
    def size(self) -> int:
        """Bytes received."""
        return self._download.received

    def request(self) -> bytes:
        """Return the serialized request for the missing bytes."""
        self._download.requests += 1
        return pb.ReadObjectRequest(
            bucket=self.bucket,
            key=self.key,
            ranges=[messages.range_message(self._download.remaining())],
            generation=self._download.generation or 0,
            if_match=self._if_match,
            recorded_checksums=self._takes_unverified,
        ).SerializeToString()

    def accept(self, message: bytes, opened: Callable[[bytes], bytes | None]) -> bytes | memoryview:
        """Return the verified payload of one message; empty if it has none.

        Args:
            message: The serialized message.
            opened: Verifies the checksum of a message that is no frame; frames have checksums of their own.
        """
        chunk = decode_chunk(READ_CHUNK_FIELD, message)
        if chunk is not None:
            return self._fed(chunk)
        parsed = answer_checks.parsed(pb.ReadObjectResponse, opened(message))
        match parsed.WhichOneof("frame"):
            case "object":
                self._download.describe(self._expected(messages.object_info(parsed.object)))
                return b""
            case "chunk":
                return self._fed(messages.chunk(parsed.chunk))
            case _:
                raise DamagedMessageError("a part of the answer is neither a description nor bytes")

    def _fed(self, chunk: Chunk) -> bytes | memoryview:
        try:
            return self._download.feed(chunk)
        except IntegrityError:
            self._takes_unverified = False
            raise

    def _expected(self, info: ObjectInfo) -> ObjectInfo:
        return answer_checks.of_read(info, self.bucket, self.key, self._download.generation, self._if_match)

    def finish(self) -> None:
        """Check that all bytes arrived."""
        self._download.finish()
