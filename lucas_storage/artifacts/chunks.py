"""Streams: the items of an iterator, stored while it runs.

An artifact of format ``stream@1`` is always a manifest. Bytes are stored one item after the other, so that the file is
the plain bytes for every reader that wants a file, and the lengths of the items beside them, each an unsigned LEB128
number. Anything else is one line of ``json@1`` for each item, references in place of values that are no JSON data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from actorc import varint
from lucas_storage.errors import DecodeError
from lucas_storage.formats.base import type_name

from .manifest import Manifest
from .part_transfer import Cutter, PartSender, stored

BYTES: Final = (bytes, bytearray, memoryview)
"""Types of the items of a stream of bytes."""
_LONGEST: Final = 63
"""Bits of a length; a longer one is refused, so that no stored stream can make a reader allocate without bound."""


def send_bytes(pieces: Iterable[Any], parts: PartSender, *, items: bool) -> Manifest:
    """Run an iterator of bytes to its end and store its items.

    Args:
        pieces: The iterator.
        parts: Stores the parts.
        items: Whether a reader gets the same items back, rather than pieces of any length.

    Raises:
        TypeError: It gave something else than bytes.
    """
    data, lengths = Cutter(parts), Cutter(parts)
    for piece in checked(pieces):
        data.add(piece)
        if items:
            lengths.add(varint.encode(len(piece)))
    sent, counted = data.end(), lengths.end()
    return Manifest(parts=stored(sent), items=stored(counted) if items else None)


def checked(pieces: Iterable[Any]) -> Iterator[bytes]:
    """Yield the items of an iterator as bytes, each a copy if it is another buffer.

    Raises:
        TypeError: An item is something else.
    """
    for piece in pieces:
        if not isinstance(piece, BYTES):
            raise TypeError(f"an iterator gave bytes and then a {type_name(piece)}; let it give one kind")
        # A copy of anything that can change: a generator may fill the same buffer again for its next item.
        yield piece if type(piece) is bytes else memoryview(piece).tobytes()


def lines_of(data: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream of records, without their ends.

    Raises:
        DecodeError: The last line has no end.
    """
    # Pieces are collected and joined once for each line; adding them to one bytes object would copy a long line again
    # for every piece.
    held: list[bytes] = []
    for piece in data:
        first, *more = piece.split(b"\n")
        held.append(first)
        for line in more:
            yield b"".join(held)
            held = [line]
    if any(held):
        raise DecodeError("a stream ends within a record; run the step that made it again")


def items_of(data: Iterable[bytes], lengths: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the items of a stream of bytes.

    Args:
        data: The bytes, in pieces of any length.
        lengths: The lengths of the items, likewise.

    Raises:
        DecodeError: The two do not fit together.
    """
    pieces = iter(data)
    rest = memoryview(b"")
    for length in _lengths_in(lengths):
        if length <= len(rest):
            yield bytes(rest[:length])
            rest = rest[length:]
            continue
        held = bytearray(rest)
        while len(held) < length:
            piece = next(pieces, None)
            if piece is None:
                raise _misfit()
            rest = memoryview(piece)
            taken = length - len(held)
            held += rest[:taken]
            rest = rest[taken:]
        yield bytes(held)
    if len(rest) or next(pieces, None) is not None:
        raise _misfit()


def _lengths_in(pieces: Iterable[bytes]) -> Iterator[int]:
    try:
        yield from varint.decode_all(pieces, bits=_LONGEST)
    except ValueError as error:
        raise _misfit() from error


def _misfit() -> DecodeError:
    return DecodeError("the items of a stream do not add up to its bytes; run the step that made it again")
