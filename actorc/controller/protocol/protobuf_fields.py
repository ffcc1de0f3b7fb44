"""Reads and writes large fields of messages without copying them, by protobuf's wire format.

Generated code copies a value once when it parses and several times when it serializes. Here, the values of a large
message are cut out as views of the received buffer, and a message is written as parts around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from actorc import varint

Buffer: TypeAlias = bytes | bytearray | memoryview
Parts: TypeAlias = tuple[Buffer, ...]
"""The bytes of a message, in pieces that follow each other; none may change while the message is in use."""

_DELIMITED: Final = 2
_FIXED: Final = {1: 8, 5: 4}


def opening(number: int, size: int) -> bytes:
    """Return the tag and length in front of a field of `size` bytes: bytes, text or a message."""
    return varint.encode(number << 3 | _DELIMITED) + varint.encode(size)


def nested(parts: Parts, *numbers: int) -> Parts:
    """Return a message that contains only one field, or nested messages that contain only that field.

    Args:
        parts: The content of the field.
        numbers: The field's number, after those of the messages around it, outermost first.
    """
    size = sum(map(len, parts))
    head = b""
    for number in reversed(numbers):
        head = opening(number, size + len(head)) + head
    return head, *parts


def cut(message: Buffer, *numbers: int) -> tuple[bytes, list[memoryview]]:
    """Return a message with a number in place of each large field, and views of these fields, the first with number 1.

    The views share the buffer of `message`, which must not change as long as they are used.

    Args:
        message: The serialized message.
        numbers: The field's number, after those of the messages around it, outermost first.

    Raises:
        ValueError: It is not a valid message.
    """
    found: list[memoryview] = []
    return b"".join(_without(memoryview(message), numbers, found)), found


def number_in(field: bytes) -> int:
    """Return the number that `cut` put in place of a field; 0 for a field that was absent."""
    return int.from_bytes(field, "big")


def _without(message: memoryview, numbers: tuple[int, ...], found: list[memoryview]) -> Iterator[Buffer]:
    for begin, content, end, tag in _fields(message):
        if tag != numbers[0] << 3 | _DELIMITED:
            yield message[begin:end]
        elif numbers[1:]:
            yield from nested(tuple(_without(message[content:end], numbers[1:], found)), numbers[0])
        else:
            found.append(message[content:end])
            yield from nested((len(found).to_bytes(4, "big"),), numbers[0])


def _fields(message: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield the start of each field, the start and the end of its content, and its tag."""
    begin = 0
    while begin < len(message):
        tag, content = varint.decode(message, begin)
        match tag & 7:
            case 0:
                _, end = varint.decode(message, content)
            case 2:
                size, content = varint.decode(message, content)
                end = content + size
            case 1 | 5:
                end = content + _FIXED[tag & 7]
            case _:
                raise ValueError("the message is damaged")
        if end > len(message):
            raise ValueError("the message is cut off")
        yield begin, content, end, tag
        begin = end
