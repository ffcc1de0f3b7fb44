"""Batches several messages into one, because gRPC costs as much for a small message as for a large one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from .protobuf_fields import Parts, nested

BATCH_FIELD: Final = 1000
"""The number of ``Message.batch``."""
MAX_COUNT: Final = 256
MAX_SIZE: Final = 1 << 20
"""Bytes of the messages in a batch, together."""
SMALL: Final = 64 << 10
"""Bytes from which a message is sent alone: its own cost exceeds gRPC's, and batching would copy it once more."""


def next_message(waiting: deque[Parts]) -> Parts:
    """Remove waiting messages, at least one and in order, and return them as one message.

    Args:
        waiting: Serialized messages; other threads may append meanwhile.
    """
    first = waiting.popleft()
    taken, room = [first], MAX_SIZE - _size(first)
    if _size(first) >= SMALL:
        return first
    while waiting and len(taken) < MAX_COUNT and (size := _size(waiting[0])) < SMALL and size <= room:
        taken.append(waiting.popleft())
        room -= size
    return first if len(taken) == 1 else _together(taken)


def _together(messages: Iterable[Parts]) -> Parts:
    return (b"".join(part for message in messages for part in nested(message, BATCH_FIELD)),)


def _size(message: Parts) -> int:
    return sum(map(len, message))
