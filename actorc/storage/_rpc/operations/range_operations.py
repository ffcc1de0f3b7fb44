"""Many ranges of one object in one call."""

from __future__ import annotations

from collections.abc import Sequence

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.rpc import Rpc
from actorc.storage._wire import messages
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import DamagedMessageError, UnsupportedError
from actorc.storage.models import ByteRange, ObjectInfo


class RemoteRanges:
    """Calls for many ranges, one part of `RemoteStore`."""

    _rpc: Rpc
    # a hint, set without a lock: a thread with an old value makes one call more than needed
    _ranges = True
    """Whether the server may know calls for many ranges; an earlier version does not."""

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
        """Return the object with the bytes of each range, verified, or None if the server knows no such call.

        Once the answer has 3 MiB, a range is cut short, and those behind it are empty.
        """
        if not self._ranges:
            return None
        request = pb.GetRangesRequest(
            bucket=bucket,
            key=key,
            ranges=map(messages.range_message, parts),
            generation=generation or 0,
            if_match=if_match or "",
        )

        def judge(answer: pb.GetRangesResponse) -> tuple[ObjectInfo, list[bytes]]:
            info = answer_checks.of_read(messages.object_info(answer.object), bucket, key, generation, if_match)
            return info, _verified(answer.chunks, [part.clamp(info.size) for part in parts])

        try:
            return self._rpc.ask(request, judge, timeout=timeout)
        except UnsupportedError:
            self._ranges = False  # an older server, and it answers every such call like this
            return None


def _verified(chunks: Sequence[pb.Chunk], spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return the bytes of each span, a first byte and an end; an answer that is full may lack the last ones.

    Raises:
        DamagedMessageError: They are not those of the spans.
    """
    found = [chunk.data for chunk in chunks]
    if len(found) != len(spans):
        raise DamagedMessageError("an answer has other ranges than were asked for")
    is_full = False
    for chunk, data, (first, stop) in zip(chunks, found, spans, strict=True):
        room = 0 if is_full else stop - first
        if chunk.offset != first or len(data) > room or crc32c(data) != chunk.crc32c:
            raise DamagedMessageError("bytes of a range arrived damaged or out of place; they were not used")
        is_full = is_full or len(data) < room
    if is_full and not any(found):
        # or the call for the rest would go on for ever
        raise DamagedMessageError("an answer has no byte of the ranges that were asked for")
    return found
