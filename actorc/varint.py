"""Varints of protobuf and of Thrift's compact protocol: seven bits a byte, the lowest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_LONGEST = 70
"""Bits in ten bytes, which is what 64 bits take."""


def encode(number: int) -> bytes:
    """Return the varint of a number of 0 or more."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def decode(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the number at an offset of 0 or more, and the offset behind it.

    Raises:
        ValueError: The data end within the number, or it is longer than ten bytes.
    """
    number = shift = 0
    while at < len(data) and shift < _LONGEST:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ValueError("the data are cut off, or a number in them is too long")


def decode_all(pieces: Iterable[bytes], *, bits: int = _LONGEST) -> Iterator[int]:
    """Yield the numbers of 0 or more that bytes consist of, which come in pieces of any length.

    Args:
        pieces: The bytes.
        bits: The most that a number may take, seven for each of its bytes.

    Raises:
        ValueError: The data end within a number, or it is longer.
    """
    number = shift = 0
    for piece in pieces:
        for byte in piece:
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                yield number
                number = shift = 0
            elif shift >= bits:
                raise ValueError("a number in the data is too long")
    if shift:
        raise ValueError("the data are cut off within a number")
