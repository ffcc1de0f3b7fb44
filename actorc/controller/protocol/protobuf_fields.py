"""Large fields of messages, without copying them: protobuf's wire format as far as that takes.

Generated code copies a value on the way in and several times on the way out. Here, a large message is read with its
values cut out, which stay where they were received, and written as parts around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from actorc import varint

Buffer: TypeAlias = bytes | bytearray | memoryview
Parts: TypeAlias = tuple[Buffer, ...]
"""A message is what they are one after the other."""

_DELIMITED: Final = 2
_FIXED: Final = {1: 8, 5: 4}


def opening(number: int, size: int) -> bytes:
    """Return what goes before the `size` bytes of a field: bytes, a text or a message."""
    return varint.encode(number << 3 | _DELIMITED) + varint.encode(size)


def nested(parts: Parts, *numbers: int) -> Parts:
    """Return a message with nothing but a field in it, or with messages within each other down to that field.

    Args:
        parts: What the field holds.
        numbers: The field's number, after those of the messages around it, outermost first.
    """
    size = sum(map(len, parts))
    head = b""
    for number in reversed(numbers):
        head = opening(number, size + len(head)) + head
    return head, *parts


def cut(message: Buffer, *numbers: int) -> tuple[bytes, list[memoryview]]:
    """Return a message with a number in place of each large field, and these fields, the first one under number 1.

    Args:
        message: In its serialized form.
        numbers: The field's number, after those of the messages around it, outermost first.

    Raises:
        ValueError: It is no message.
    """
    found: list[memoryview] = []
    return b"".join(_without(memoryview(message), numbers, found)), found


def number_in(field: bytes) -> int:
    """Return the number that was put in a field's place; 0 for a field that was not there."""
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
    """Yield where each field begins, where its content begins and ends, and its tag."""
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
