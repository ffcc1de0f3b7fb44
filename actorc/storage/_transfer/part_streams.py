"""The parts of one upload: how large they are, and how many of them are sent at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from actorc.storage.models import PartInfo
from actorc.storage.rules import MAX_PARTS, MiB

from .stream_count import MOST_STREAMS, StreamCount
from .task_group import Report, TaskGroup

_USUAL_PARTS: Final = 16
_MAX_USUAL_PART: Final = 32 * MiB
_UNANSWERED: Final = 3
"""Parts that wait for the server to store them, beside those that are sent."""
_MOST_PARTS: Final = MOST_STREAMS + 2
"""Parts of both kinds at most; each has a connection of its own, since two would share the window of one."""
_MEASURED: Final = 12 * MiB
"""Bytes of each stream in a measurement; more than the buffers take at once when a part begins."""
_BUFFERED: Final = 6 * MiB
"""Bytes of the first part that buffers take at once, before the first measurement."""
_LONG: Final = 0.008
"""Seconds of a round trip from which one stream leaves most of a link unused."""
_SHORT: Final = 0.001
"""Seconds of a round trip, of a call to the server and back, below which one stream fills any window. Its client waits
for the disk of the server, where more streams would do nothing but hold memory."""
_BETWEEN: Final = 4
"""Streams over a link between the two; one would wait for its window."""


def usual_part_size(size: int, least: int) -> int:
    """Return the bytes of a part, at least `least`, of `size` bytes whose caller wishes none."""
    # few and large, since the server syncs and records each part on its own
    return max(least, min(size // _USUAL_PARTS, _MAX_USUAL_PART))


def allowed_part_size(part_size: int, size: int) -> int:
    """Return the part size in whole MiB, at least `part_size`, with which `MAX_PARTS` parts suffice."""
    least = max(part_size, -(-size // MAX_PARTS))
    return -(-least // MiB) * MiB


def stream_count(round_trip: float) -> StreamCount:
    """Return what decides how many parts are sent at once.

    Over a link that is known to be long it begins with all, and over one that is known to be short it is one; between
    them it begins with some.

    Args:
        round_trip: Seconds of a round trip; 0 if that is not known.
    """
    if 0 < round_trip < _SHORT:
        begin = most = 1
    else:
        most = MOST_STREAMS
        begin = MOST_STREAMS if round_trip >= _LONG else _BETWEEN if round_trip else 1
    return StreamCount(_MEASURED, buffered=_BUFFERED, most=most, begin=begin)


def send(
    tasks: Iterable[Callable[[Report], PartInfo]], moved: Callable[[int], None], streams: StreamCount
) -> list[PartInfo]:
    """Run tasks that each send a part, and return their results, in no particular order.

    Args:
        tasks: The tasks; the next one is asked for once there is room for it.
        moved: Called on this thread with bytes that were sent.
        streams: Decides how many parts are sent at once.
    """
    with TaskGroup[PartInfo](moved, streams) as group:
        for task in tasks:
            # the next part is sent while the server syncs the one before
            group.wait_for_room()
            group.wait_for(min(streams.count + _UNANSWERED, _MOST_PARTS) - 1)
            group.start(task)
        return group.results()
