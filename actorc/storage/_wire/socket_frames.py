"""Frames: how calls travel through a Unix socket, and how file descriptors travel with them.

A connection is a sequence of frames in each direction. A frame is a header of eight bytes and its payload::

    offset  bytes
    0       4      length of the payload, little-endian; at most `MAX_PAYLOAD`
    4       1      kind, see `Kind`
    5       1      descriptors that come with the frame, at most `MAX_DESCRIPTORS`
    6       2      zero
    8       ...    payload

The payload of a ``MESSAGE`` is a serialized protobuf message, the same as over gRPC. That of any other kind is a list
of pairs, `encode_pairs`: names with a colon in front belong to this format, others are metadata of the call.

1.  The server says ``HELLO`` once, with ``:version`` and ``:address``, the ``host:port`` that it listens on.
2.  A call is ``BEGIN`` with ``:path`` and its metadata, then its request as ``MESSAGE``. A call that sends a stream has
    any number of them, and ``FINISH`` behind the last.
3.  The server answers with ``ANNOUNCE``, if it has metadata that come before the first answer, any number of
    ``MESSAGE``, and ``END`` with ``:status``, ``:text`` and the trailers.

There is one call at a time on a connection. Behind ``END`` another may begin, if all of the request was sent. A side
that wants to end a call before closes the connection; nothing else needs to be undone.

Descriptors are passed by ``SCM_RIGHTS`` with the first byte of their frame. The receiver of a frame owns its
descriptors. Those that the receiver did not ask for, more or fewer than the header says, and those of a frame that
never ends are closed here, and the connection is not to be used any more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from actorc.storage.rules import MAX_MESSAGE_SIZE

Payload: TypeAlias = "bytes | memoryview"
Pairs = tuple[tuple[str, str | bytes], ...]

MAX_PAYLOAD: Final = MAX_MESSAGE_SIZE
MAX_DESCRIPTORS: Final = 64
"""Descriptors of one frame; the kernel takes up to 253 (SCM_MAX_FD), and counts those on their way for each user."""

HEADER: Final = struct.Struct("<IBBH")
_PAIR: Final = struct.Struct("<HI")


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    BEGIN = 2
    MESSAGE = 3
    FINISH = 4
    ANNOUNCE = 5
    END = 6


KINDS: Final = {int(kind): kind for kind in Kind}


class FrameError(Exception):
    """What came is no frame, or not one that may come now; the connection is of no use any more."""


class ClosedError(Exception):
    """The peer closed the connection.

    Attributes:
        within: Whether in the middle of a frame.
    """

    def __init__(self, *, within: bool) -> None:
        super().__init__("the connection was closed" + (" in the middle of a frame" if within else ""))
        self.within = within


class Frame(NamedTuple):
    """One frame that arrived. The receiver owns its descriptors."""

    kind: Kind
    payload: Payload
    descriptors: tuple[int, ...] = ()


def header(kind: Kind, parts: Iterable[Payload], descriptors: Sequence[int] = ()) -> bytes:
    """Return the header of a frame with this payload."""
    return HEADER.pack(sum(map(len, parts)), kind, len(descriptors), 0)


def encode_pairs(pairs: Iterable[tuple[str, str | bytes]]) -> bytes:
    """Return names and values: of each the length of the name in two bytes, of the value in four, then both.

    A value is text in UTF-8, or bytes if the name ends with ``-bin``.
    """
    parts: list[bytes] = []
    for name, value in pairs:
        key, data = name.encode(), value if isinstance(value, bytes) else value.encode()
        parts += (_PAIR.pack(len(key), len(data)), key, data)
    return b"".join(parts)


def decode_pairs(payload: Payload) -> Pairs:
    """Return the names and values in a payload.

    Raises:
        FrameError: It is no list of them.
    """
    data, at, pairs = bytes(payload), 0, []
    try:
        while at < len(data):
            key, length = _PAIR.unpack_from(data, at)
            at += _PAIR.size
            name, value = data[at : at + key].decode(), data[at + key : at + key + length]
            at += key + length
            pairs.append((name, value if name.endswith("-bin") else value.decode()))
    except (struct.error, UnicodeDecodeError) as error:
        raise FrameError("no list of names and values") from error
    if at != len(data):
        raise FrameError("a list of names and values is cut off")
    return tuple(pairs)
