"""Operations that read the bytes of an object: by one answer, from its files, or by a stream."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import TypeAlias, TypeVar

from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.data_calls import Read, SmallRead
from actorc.storage._rpc.files.object_files import ObjectFiles
from actorc.storage._rpc.files.operations import RemoteFiles
from actorc.storage._rpc.gathering.gathering import Gathering
from actorc.storage._rpc.payload import Download
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage._rpc.stream_ends import PieceStream
from actorc.storage.errors import DeadlineExceededError, ObjectNotFoundError, UnsupportedError
from actorc.storage.models import WHOLE, ByteRange, ObjectInfo
from actorc.storage.rules import MAX_ANSWER_SIZE

from .gathered_operations import GatheredGet, RemoteGathering

T = TypeVar("T")

OpenStream: TypeAlias = "Callable[[float | None], PieceStream]"
"""Returns the bytes of a range, given the seconds that are left for them."""


class RemoteReads(RemoteFiles, RemoteGathering):
    """Reading, one part of `RemoteStore`."""

    _small_gets: Gathering[GatheredGet, bytes | None]
    # hints, set without a lock: a thread with an old value makes one call more than needed
    _gets = True
    _expects_small = True

    def get(
        self,
        bucket: str,
        key: str,
        part: ByteRange,
        generation: int | None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
        stream: OpenStream | None = None,
    ) -> bytes:
        """Return a range of an object, a small one by a single call, another by a stream.

        The size is not known before the answer, so it is expected to be like that of the last object. A single answer
        that does not come in time is no failure: a stream notices a connection that stands still and continues over
        another one, for as long as `timeout` allows.

        Args:
            bucket: Bucket of the object.
            key: Key of the object.
            part: The range.
            generation: The generation; None for the current one.
            if_match: The etag that the object must have.
            timeout: Seconds for all calls together.
            stream: Opens what is more than one answer, and in no file; one stream if it is not given.
        """

        def read(files: ObjectFiles) -> bytes:
            if part.length is None:
                self._expects_small = files.info.size <= MAX_ANSWER_SIZE
            return files.read(part)

        deadline = Deadline(timeout)
        data = self._get_small(SmallRead(bucket, key, part, generation, if_match), deadline.left())
        if data is None:
            data = self._from_files(bucket, key, part, generation, if_match, deadline, read)
        if data is not None:
            return data
        one = self._one_stream(bucket, key, part, generation, if_match)
        data = _taken(_joined, one, stream, generation, deadline)
        if part.length is None:
            self._expects_small = len(data) <= MAX_ANSWER_SIZE
        return data

    def get_into(
        self,
        bucket: str,
        key: str,
        part: ByteRange,
        generation: int | None,
        target: memoryview,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
        stream: OpenStream | None = None,
    ) -> int:
        """Write a range of an object into `target`, as `get` returns it; return the number of bytes.

        Raises:
            InvalidParameterError: They are more than `target` has.
        """

        def read(files: ObjectFiles) -> int:
            first, stop = part.clamp(files.info.size)
            answer_checks.check_room(stop - first, target, bucket, key)
            return files.read_into(target[: stop - first], first)

        deadline = Deadline(timeout)
        data = self._get_small(SmallRead(bucket, key, part, generation, if_match), deadline.left())
        if data is not None:
            answer_checks.check_room(len(data), target, bucket, key)
            target[: len(data)] = data
            return len(data)
        size = self._from_files(bucket, key, part, generation, if_match, deadline, read)
        if size is not None:
            return size

        def filled(opened: PieceStream) -> int:
            return _filled(target, opened, bucket, key)

        one = self._one_stream(bucket, key, part, generation, if_match)
        return _taken(filled, one, stream, generation, deadline)

    def _one_stream(
        self, bucket: str, key: str, part: ByteRange, generation: int | None, if_match: str | None
    ) -> OpenStream:
        def opened(timeout: float | None) -> _OneStream:
            download = Download(part, generation)
            return _OneStream(download, self.read(bucket, key, download, if_match=if_match, timeout=timeout))

        return opened

    def content(
        self,
        bucket: str,
        key: str,
        part: ByteRange = WHOLE,
        generation: int | None = None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> tuple[ObjectInfo, bytes]:
        """Return an object with the bytes of a range, from its files or by a stream."""
        deadline = Deadline(timeout)
        found = self._from_files(
            bucket, key, part, generation, if_match, deadline, lambda files: (files.info, files.read(part))
        )
        if found is not None:
            return found
        buffer, download = io.BytesIO(), Download(part, generation)
        for piece in self.read(bucket, key, download, if_match=if_match, timeout=deadline.left()):
            buffer.write(piece)
        assert download.info is not None
        return download.info, buffer.getvalue()

    def view(
        self,
        bucket: str,
        key: str,
        part: ByteRange,
        generation: int | None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
        stream: OpenStream | None = None,
    ) -> memoryview:
        """Return a range of an object as read-only memory, mapped if the object is a file of this machine."""
        deadline = Deadline(timeout)
        found = self._from_files(bucket, key, part, generation, if_match, deadline, lambda files: files.view(part))
        if found is not None:
            return found
        left = deadline.left()
        return memoryview(self.get(bucket, key, part, generation, if_match=if_match, timeout=left, stream=stream))

    def _from_files(
        self,
        bucket: str,
        key: str,
        part: ByteRange,
        generation: int | None,
        if_match: str | None,
        deadline: Deadline,
        read: Callable[[ObjectFiles], T],
    ) -> T | None:
        """Return what `read` makes of the files of an object; None if the server has to send or refuse the range."""
        files = self.open_files(bucket, key, generation, if_match=if_match, timeout=deadline.left())
        if files is not None:
            with files, suppress(OSError):  # the server says what is wrong with its disk
                # a range behind the end is refused by the stream
                if part.offset <= files.info.size:
                    return read(files)
        return None

    def _get_small(self, read: SmallRead, timeout: float | None) -> bytes | None:
        if not self._gets or not (read.fits or (read.may_fit and self._expects_small)):
            return None
        call = GatheredGet(read.request.bucket, read.request.key, read, timeout)
        if read.is_plain:
            return self._small_gets.make(call, self._get_alone)
        return self._get_alone(call)

    def _get_alone(self, call: GatheredGet) -> bytes | None:
        left, read = call.timeout, call.read
        patience = self._patience if left is None else min(self._patience, left)
        try:
            return self._rpc.ask(read.request, read.accept, timeout=patience, patient=left is not None)
        except UnsupportedError:
            self._gets = False  # an older server, and it answers every such call like this
        except DeadlineExceededError:
            # the stream that follows has an idle timeout, and can resume
            pass
        return None

    def read(
        self,
        bucket: str,
        key: str,
        download: Download,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Generator[bytes | memoryview, None, None]:
        """Yield the bytes of an object; `download` has the range, and after the first piece the description."""
        reading = Read(bucket, key, download, if_match, may_repeat=self._rpc.may_repeat)
        return self._rpc.receive("ReadObject", reading, timeout=timeout)


def _taken(
    take: Callable[[PieceStream], T],
    one: OpenStream,
    several: OpenStream | None,
    generation: int | None,
    deadline: Deadline,
) -> T:
    """Return what `take` makes of the bytes that come by several streams if they may, else by one."""
    opened = (several or one)(deadline.left())
    try:
        return take(opened)
    except ObjectNotFoundError:
        # replaced before the last stream began, in a store that keeps no former generations
        if generation is not None or not opened.received:
            raise
        return take(one(deadline.left()))


def _joined(stream: PieceStream) -> bytes:
    buffer = io.BytesIO()
    with closing(stream.pieces()) as pieces:
        for piece in pieces:
            buffer.write(piece)
    return buffer.getvalue()


def _filled(target: memoryview, stream: PieceStream, bucket: str, key: str) -> int:
    filled = 0
    with closing(stream.pieces()) as pieces:
        for piece in pieces:
            answer_checks.check_room(stream.size, target, bucket, key)
            target[filled : filled + len(piece)] = piece
            filled += len(piece)
    return filled


class _OneStream:
    """A download by one stream."""

    def __init__(self, download: Download, pieces: Generator[bytes | memoryview, None, None]) -> None:
        self._download = download
        self._pieces = pieces

    @property
    def size(self) -> int:
        assert self._download.size is not None
        return self._download.size

    @property
    def received(self) -> int:
        return self._download.received

    def pieces(self) -> Generator[bytes | memoryview, None, None]:
        return self._pieces
