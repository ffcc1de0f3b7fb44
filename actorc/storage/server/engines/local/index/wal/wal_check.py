"""Checks SQLite's write-ahead log before SQLite opens it, so that no acknowledged transaction is lost silently.

SQLite reads a log up to its first bad frame and silently drops the rest. That is right after a power cut, which can
damage only the last transaction, and that was never acknowledged: each is synced before the next begins. But a bad
frame with a complete transaction behind it was valid once, and dropping it would lose acknowledged changes.

The format: https://www.sqlite.org/fileformat2.html, section 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from actorc.storage.rules import MiB

HEADER_SIZE: Final = 32
FRAME_HEADER_SIZE: Final = 24

_MAGIC: Final = 0x377F0682  # with the lowest bit set, checksums are of big-endian words
_VERSION: Final = 3007000
_MASK: Final = 0xFFFFFFFF

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Content of a log."""

    transactions: int = 0
    """Transactions that SQLite will read."""
    dropped: int = 0
    """Frames of an incomplete or damaged last transaction, which SQLite drops."""
    damaged: bool = False
    """Whether the log is damaged anywhere up to its last write, by a power cut or otherwise."""
    lost: str = ""
    """Where it is damaged, if SQLite would drop a transaction that was acknowledged; else empty."""


class Frame(NamedTuple):
    """One page in the log."""

    number: int
    """Counted from 1."""
    pages: int
    """Size of the database in pages behind it, in the last frame of a transaction; else 0."""
    salts: bytes
    stored: Sums
    body: bytes
    """The bytes under its checksum, beside the frames before it."""


class Header(NamedTuple):
    """The header of the log."""

    page_size: int
    salts: bytes
    order: str
    """Byte order of the summed words, as `struct` names it."""
    stored: Sums
    computed: Sums
    is_good: bool


def path_of(database: Path) -> Path:
    """Return the path of a database's log."""
    return database.with_name(f"{database.name}-wal")


def inspect(path: Path, page_size: int) -> Report:
    """Return what the log at `path`, of a database with pages of `page_size` bytes, holds; nothing is changed.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(HEADER_SIZE)
        if not any(start) and _is_blank(file):
            return Report()
        if len(start) < HEADER_SIZE:
            return Report(damaged=True)
        header = _header(start, page_size)
        frames = _frames(file, header.page_size)
        return _judge(header, frames, _tail(path, header.page_size))


def checksum(data: bytes, order: str, sums: Sums = (0, 0)) -> Sums:
    """Return the checksum of `data`, whose length is a multiple of 8, continuing from `sums`."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    pairs = iter(words)
    for even, odd in zip(pairs, pairs, strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second


def _is_blank(file: BinaryIO) -> bool:
    """Return whether only zeros are left to read, room that was never used; else go back to where it was."""
    beginning = file.tell()
    while block := file.read(MiB):
        if any(block):
            file.seek(beginning)
            return False
    return True


def _header(start: bytes, page_size: int) -> Header:
    magic, version, own_size = struct.unpack(">III", start[:12])
    order = ">" if magic & 1 else "<"
    computed, stored = checksum(start[:24], order), _sums(start[24:])
    is_good = magic | 1 == _MAGIC | 1 and version == _VERSION and own_size == page_size and computed == stored
    return Header(page_size, start[16:24], order, stored, computed, is_good)


def _sums(stored: bytes) -> Sums:
    first, second = struct.unpack(">II", stored)
    return first, second


def _frames(file: BinaryIO, page_size: int) -> Iterator[Frame]:
    number = 0
    while len(data := file.read(FRAME_HEADER_SIZE + page_size)) == FRAME_HEADER_SIZE + page_size:
        number += 1
        (pages,) = struct.unpack(">I", data[4:8])
        yield Frame(number, pages, data[8:16], _sums(data[16:24]), data[:8] + data[24:])


def _tail(path: Path, page_size: int) -> int:
    """Return the number of bytes behind the last complete frame."""
    return (path.stat().st_size - HEADER_SIZE) % (FRAME_HEADER_SIZE + page_size)


def _judge(header: Header, frames: Iterator[Frame], tail: int) -> Report:
    if not header.is_good:
        return _without_header(header, frames)
    transactions = pending = 0
    sums = header.computed
    for frame in frames:
        found = checksum(frame.body, header.order, sums)
        if found != frame.stored or frame.salts != header.salts:
            is_ours = found == frame.stored or frame.salts == header.salts  # else it is older than the last reset
            ended = is_ours and _ends(frame, header.order, sums)
            seen = Report(transactions=transactions, dropped=pending + is_ours, damaged=is_ours)
            return _judge_rest(header, frame, frames, seen, seeds={frame.stored, found}, ended=ended)
        sums, pending = found, pending + 1
        if frame.pages:
            transactions, pending = transactions + 1, 0
    return Report(transactions=transactions, dropped=pending, damaged=bool(tail))


def _ends(frame: Frame, order: str, sums: Sums) -> bool:
    """Return whether a bad frame ended its transaction, also if the flipped bit is in the field that says so."""
    sizes = [0] if frame.pages else [1 << bit for bit in range(32)]
    repaired = (frame.body[:4] + struct.pack(">I", size) + frame.body[8:] for size in sizes)
    was_otherwise = any(checksum(body, order, sums) == frame.stored for body in repaired)
    return bool(frame.pages) != was_otherwise


def _judge_rest(
    header: Header, bad: Frame, frames: Iterator[Frame], seen: Report, *, seeds: set[Sums], ended: bool
) -> Report:
    """Report on a log by the frames behind the first bad one.

    The checksum of a frame continues the stored checksum of the frame before it, so those behind a bad one can still
    be verified.
    """
    for frame in frames:
        if frame.salts == header.salts:
            seen = replace(seen, dropped=seen.dropped + 1, damaged=True)
            if frame.pages and any(checksum(frame.body, header.order, seed) == frame.stored for seed in seeds):
                if ended:
                    return replace(seen, lost=_description(bad, frame))
                ended = True
        seeds = {frame.stored}
    return seen


def _description(bad: Frame, behind: Frame) -> str:
    return f"frame {bad.number} is damaged, and frame {behind.number} ends a later transaction"


def _without_header(header: Header, frames: Iterator[Frame]) -> Report:
    """Report on a log with a damaged header, which SQLite would drop as a whole."""
    orders, seeds = ("<", ">"), {header.stored, header.computed}
    dropped = 0
    for frame in frames:
        dropped += 1
        if frame.pages and any(checksum(frame.body, order, seed) == frame.stored for order in orders for seed in seeds):
            return Report(dropped=dropped, damaged=True, lost="its header is damaged, and transactions stand behind it")
        seeds = {frame.stored}
    return Report(dropped=dropped, damaged=True)
