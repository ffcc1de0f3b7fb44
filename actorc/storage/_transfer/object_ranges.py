"""Many ranges of one generation of an object, in as few calls as their bytes need."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage.models import NOTHING, WHOLE, ByteRange, ObjectInfo
from actorc.storage.rules import MAX_PAGE_BYTES, MAX_RANGES, MiB

_LARGE: Final = MiB
"""Bytes of a range that is read by a stream of its own, which is faster for so many."""


class RangeStore(Protocol):
    """The calls of a store that are needed here; their arguments are those of `get`."""

    def get_ranges(
        self,
        bucket: str,
        key: str,
        parts: Sequence[ByteRange],
        generation: int | None = None,
        *,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> tuple[ObjectInfo, list[bytes]] | None:
        """Return the object with the bytes of each range, or None if the store knows no such call.

        An answer that is full lacks bytes at its end.
        """

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
        """Return the object with the bytes of one range."""


def get(
    store: RangeStore,
    bucket: str,
    key: str,
    parts: Sequence[ByteRange],
    generation: int | None = None,
    *,
    if_match: str | None = None,
    timeout: float | None = None,
) -> list[bytes]:
    """Return the bytes of each range of an object, in their order, all of one generation.

    Args:
        store: The store.
        bucket: Bucket of the object.
        key: Key of the object.
        parts: Ranges with a length; a negative offset counts from the end.
        generation: Generation to read; None: the current one.
        if_match: The etag it must have.
        timeout: Seconds for all calls together.
    """
    reading = _Reading(store, bucket, key, generation, if_match, Deadline(timeout))
    return reading.read(parts)


class _Reading:
    """The state of one `get`: after the first answer, the generation is pinned."""

    def __init__(
        self,
        store: RangeStore,
        bucket: str,
        key: str,
        generation: int | None,
        if_match: str | None,
        deadline: Deadline,
    ) -> None:
        self._store = store
        self._name = (bucket, key)
        self._generation = generation
        self._if_match = if_match
        self._deadline = deadline
        self._info: ObjectInfo | None = None

    def read(self, parts: Sequence[ByteRange]) -> list[bytes]:
        found: list[list[bytes]] = [[] for _ in parts]
        small = deque((index, part) for index, part in enumerate(parts) if not _is_large(part))
        large = deque((index, part) for index, part in enumerate(parts) if _is_large(part))
        while small:
            batch = _batch(small)
            for (index, _), data, rest in zip(batch, *self._answer([part for _, part in batch]), strict=True):
                found[index].append(data)
                if rest.length:
                    (large if _is_large(rest) else small).append((index, rest))
        for index, part in large:
            found[index].append(self._part(part))
        if not parts:
            # no ranges of an object that does not exist are an error as well
            self._described()
        return [b"".join(each) for each in found]

    def _answer(self, parts: Sequence[ByteRange]) -> tuple[list[bytes], list[ByteRange]]:
        """Return the bytes of ranges, as many as come at once, and what is missing of each."""
        answer = self._store.get_ranges(
            *self._name, parts, self._generation, if_match=self._if_match, timeout=self._deadline.left()
        )
        if answer is None:
            info = self._info or self._described()
            return [self._part(_from_beginning(part, info.size)) for part in parts], [NOTHING] * len(parts)
        info, found = answer
        self._pin(info)
        spans = [part.clamp(info.size) for part in parts]
        return found, [_between(first + len(data), stop) for data, (first, stop) in zip(found, spans, strict=True)]

    def _part(self, part: ByteRange) -> bytes:
        info, data = self._store.content(
            *self._name, part, self._generation, if_match=self._if_match, timeout=self._deadline.left()
        )
        self._pin(info)
        return data

    def _described(self) -> ObjectInfo:
        self._part(NOTHING)
        assert self._info is not None
        return self._info

    def _pin(self, info: ObjectInfo) -> None:
        self._info, self._generation = info, info.generation


def _is_large(part: ByteRange) -> bool:
    return part.offset >= 0 and (part.length or 0) > _LARGE


def _from_beginning(part: ByteRange, size: int) -> ByteRange:
    return part if part.offset >= 0 else _between(*part.clamp(size))


def _between(first: int, stop: int) -> ByteRange:
    return ByteRange(first, stop - first)


def _batch(waiting: deque[tuple[int, ByteRange]]) -> list[tuple[int, ByteRange]]:
    """Take as many ranges as one call may have and one answer is sure to take, one at least."""
    batch = [waiting.popleft()]
    size = batch[0][1].length or 0
    while waiting and len(batch) < MAX_RANGES and size + (waiting[0][1].length or 0) <= MAX_PAGE_BYTES:
        batch.append(waiting.popleft())
        size += batch[-1][1].length or 0
    return batch
