"""Transfer of parts: bytes are cut into parts, uploads are bounded in memory, downloads run ahead of the reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, Final, Self, TypeAlias, TypeVar

from lucas_storage.formats.base import Encoded

from .body import Body, EncodedBody
from .manifest import PART, Manifest, Part

if TYPE_CHECKING:
    from lucas_storage.formats.base import Buffer

T = TypeVar("T")

IN_FLIGHT: Final = 4
"""Parts of one artifact that move at the same time."""


class PartSender:
    """Stores parts, several at once, for one artifact. Leaving the ``with`` body by an exception cancels those waiting.

    Holds no more than `IN_FLIGHT` parts, in memory that is used again for the next ones. For one thread, which cuts;
    threads of its own send.

    Args:
        put: Stores one body under its digest, unless it is there; called by several threads.
    """

    def __init__(self, put: Callable[[Body], None]) -> None:
        self._put = put
        # The queue is both the bound and the owner of idle memory: a part is cut only when one of its buffers is free,
        # so a fast source cannot fill the memory while the network is slow.
        self._slots: SimpleQueue[mmap | None] = SimpleQueue()
        for _ in range(IN_FLIGHT):
            self._slots.put(None)  # allocated at first use: values in memory need none
        self._pool = ThreadPoolExecutor(IN_FLIGHT, "lucas-storage-part")
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)

    def submit(self, encoded: Encoded) -> Future[Part]:
        """Begin to store a part, as soon as fewer than `IN_FLIGHT` are on their way.

        Raises:
            StorageError: A part before it could not be stored.
        """
        return self._pool.submit(self._send, encoded, self._slot())

    def memory(self) -> mmap:
        """Return memory for a part, as soon as fewer than `IN_FLIGHT` are on their way; `submit_filled` takes it back.

        Raises:
            StorageError: A part before it could not be stored.
        """
        # Pages that are never written to cost nothing, so a small stream does not pay for the zeros of a whole part.
        return self._slot() or mmap(-1, PART, flags=MAP_PRIVATE | MAP_ANONYMOUS)

    def submit_filled(self, memory: mmap, size: int) -> Future[Part]:
        """Begin to store the first `size` bytes of a buffer that `memory` returned; it is the sender's from now on."""
        return self._pool.submit(self._send, Encoded((memoryview(memory)[:size],)), memory)

    def submit_file(self, file: BinaryIO) -> Iterator[Future[Part]]:
        """Yield the parts of an open file, from where it stands to its end, as they begin to be stored."""
        while True:
            memory = self.memory()
            size = file.readinto(memory)  # type: ignore[attr-defined]
            if not size:
                self._slots.put(memory)  # else every empty end of a file would take a buffer away for good
                return
            yield self.submit_filled(memory, size)

    def _slot(self) -> mmap | None:
        memory = self._slots.get()
        if self._error is not None:
            # At the next part, not at the end: a source of many gigabytes is not read for an upload that has failed.
            self._slots.put(memory)
            raise self._error
        return memory

    def send(self, pieces: Iterable[Encoded]) -> tuple[Part, ...]:
        """Store all parts and return them in order."""
        return stored([self.submit(piece) for piece in pieces])

    def _send(self, encoded: Encoded, memory: mmap | None) -> Part:
        try:
            body = EncodedBody(encoded)
            self._put(body)
            return Part(digest=body.digest, size=body.size, crc32c=f"{body.crc32c():08x}")
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._slots.put(memory)  # after a failure, too: the cutting thread may be waiting for it


def stored(parts: Iterable[Future[Part]]) -> tuple[Part, ...]:
    """Wait for parts and return them in order; raises the error of a part that could not be stored."""
    return tuple(part.result() for part in parts)


Send: TypeAlias = Callable[[PartSender], Manifest]
"""Sends every part of an artifact, in one pass, and returns the manifest."""


def send_value(encoded: Encoded, parts: PartSender) -> Manifest:
    """Store an encoded value in parts; large buffers are not copied."""
    return Manifest(parts=parts.send(cut(encoded)))


def cut(encoded: Encoded) -> Iterator[Encoded]:
    """Yield an encoded value in parts, without copying large buffers.

    A buffer as large as a part begins a part, so that the same array within another value is stored once.
    """
    held: list[Buffer] = []
    room = PART
    for buffer in encoded.parts:
        if len(buffer) >= PART and held:
            yield _joined(held)
            held, room = [], PART
        view = memoryview(buffer)
        while view:
            held.append(view[:room])
            room, view = room - len(held[-1]), view[room:]
            if not room:
                yield _joined(held)
                held, room = [], PART
    if held:
        yield _joined(held)


def _joined(buffers: list[Buffer]) -> Encoded:
    return Encoded(tuple(Encoded(tuple(buffers)).chunks(PART)))


class Cutter:
    """Collects pieces of any length into parts. Pieces are copied, so the caller may use their memory again."""

    def __init__(self, parts: PartSender) -> None:
        self._parts = parts
        self._memory: mmap | None = None
        self._held = 0
        self._sent: list[Future[Part]] = []

    def add(self, piece: Buffer) -> None:
        """Add a piece of any length; sends complete parts."""
        view = memoryview(piece)
        while view:
            if self._memory is None:
                self._memory = self._parts.memory()
            taken = view[: PART - self._held]
            self._memory[self._held : self._held + len(taken)] = taken
            self._held += len(taken)
            view = view[len(taken) :]
            if self._held == PART:
                self._flush(self._memory)

    def short(self) -> bytes | None:
        """Return all bytes that were added if no part was complete yet; None if one was sent."""
        if self._sent:
            return None
        return b"" if self._memory is None else self._memory[: self._held]

    def end(self) -> list[Future[Part]]:
        """Send the last part and return all parts."""
        if self._memory is not None:
            self._flush(self._memory)
        return self._sent

    def _flush(self, memory: mmap) -> None:
        self._sent.append(self._parts.submit_filled(memory, self._held))
        self._memory, self._held = None, 0


def run_ahead(jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Yield the results of jobs, in order, while the next ones run; raises the error of a job when its turn comes."""
    pool = ThreadPoolExecutor(IN_FLIGHT, "lucas-storage-part")
    running: deque[Future[T]] = deque()
    try:
        for job in jobs:
            running.append(pool.submit(job))
            if len(running) >= IN_FLIGHT:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        # Without waiting: a reader who stops early, or sees an error, is not held up by parts that it will not use.
        pool.shutdown(wait=False, cancel_futures=True)
