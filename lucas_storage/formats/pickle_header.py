"""The beginning of a pickled artifact, which tells what is in it without opening it, and the order of its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from lucas_storage.errors import DecodeError
from lucas_storage.limits import PICKLE_HEADER
from lucas_storage.refs import ArtifactRef

from .base import Buffer

MAGIC: Final = b"LUCASPK5"
_ALIGNMENT: Final = 64
"""Bytes of a cache line, on which vector instructions are fastest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The facts about a pickle that are known before it is opened."""

    python: str
    """Major and minor version, such as ``3.11``."""
    code: bool
    """Whether functions or classes travel by value; their bytecode fits one minor version only."""
    type: str
    """Name of the pickled type, for messages."""
    size: int
    """Bytes of the pickle itself."""
    buffers: list[int]
    """Bytes of each."""
    refs: list[tuple[str, str]] = field(default_factory=list)
    """Of each value that stands outside: the word by which it is loaded, and its reference as text."""

    def encode(self) -> bytes:
        """Return the header as it stands at the beginning of a pickle."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "refs" or self.refs}
        text = json.dumps(fields, separators=(",", ":")).encode()
        return MAGIC + len(text).to_bytes(8, "big") + text

    @classmethod
    def decode(cls, memory: Buffer) -> tuple[Header, int]:
        """Return the header and the offset of its end.

        Raises:
            DecodeError: The bytes are not the beginning of a pickle of this format.
        """
        try:
            return cls._decoded(memoryview(memory))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DecodeError("a pickled artifact does not begin with the header of one") from error

    @classmethod
    def _decoded(cls, memory: memoryview) -> tuple[Header, int]:
        if bytes(memory[:8]) != MAGIC:
            raise ValueError("the magic is missing")
        length = int.from_bytes(memory[8:16], "big")
        if length > PICKLE_HEADER:
            raise ValueError("the header is too long")
        end = 16 + length
        fields = json.loads(bytes(memory[16:end]))
        header = cls(**{name: fields[name] for name in cls.__slots__ if name != "refs" or name in fields})
        if any(type(word) is not str or type(uri) is not str for word, uri in header.refs):
            raise ValueError("a reference is no text")
        if type(header.buffers) is not list or any(
            type(size) is not int or size < 0 for size in (header.size, *header.buffers)
        ):
            raise ValueError("a size is no number")
        return header, end


def header_of(head: bytes) -> dict[str, str]:
    """Return the fields of the header of a pickle, from its first bytes, without unpickling anything.

    They are a claim of the process that wrote the pickle, and prove nothing.

    Raises:
        DecodeError: The bytes are not the beginning of a pickle of this format.
    """
    header, _ = Header.decode(head)
    return {
        "type": str(header.type),
        "python": str(header.python),
        "code": "travels inside" if header.code else "is imported",
        "buffers": f"{len(header.buffers)} of {sum(header.buffers)} bytes",
    }


def refs_of(file: BinaryIO) -> list[ArtifactRef]:
    """Return the references in the header of a stored pickle, without unpickling anything; reads no more than that.

    Raises:
        DecodeError: The bytes are not the beginning of a pickle of this format.
        InvalidRefError: A reference in it breaks a rule.
    """
    start = file.read(16)
    size = int.from_bytes(start[8:], "big")
    return [ArtifactRef.parse(uri) for _, uri in Header.decode(start + file.read(min(size, PICKLE_HEADER)))[0].refs]


def aligned(head: bytes, buffers: list[memoryview]) -> Iterator[bytes | memoryview]:
    """Yield header and pickle, then the buffers, with gaps before them."""
    yield head
    end = len(head)
    for buffer in buffers:
        # Aligned in the file, so that arrays over the mapped file are aligned in memory.
        gap = -end % _ALIGNMENT
        if gap:
            yield bytes(gap)
        yield buffer
        end += gap + len(buffer)


def take_apart(memory: memoryview) -> tuple[Header, memoryview, list[memoryview]]:
    """Return header, pickle and buffers of an artifact.

    Raises:
        DecodeError: It is damaged.
    """
    header, start = Header.decode(memory)
    end = start + header.size
    buffers: list[memoryview] = []
    for size in header.buffers:
        begin = end + -end % _ALIGNMENT
        end = begin + size
        buffers.append(memory[begin:end])
    # Checked before unpickling: a header that claims other sizes was not written by `encode`.
    if end != len(memory):
        raise DecodeError("a pickled artifact has another length than its header says")
    return header, memory[start : start + header.size], buffers
