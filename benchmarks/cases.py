"""Cases, their arms and targets: what is measured, each declared once; and the rows that come of it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True)
class Sample:
    """One turn of an arm: seconds of each call, and what it took of the processors and the memory on both sides."""

    seconds: float
    client_cpu: float = 0.0
    server_cpu: float = 0.0
    client_peak: int = 0
    server_peak: int = 0


@dataclass(frozen=True)
class Speed:
    """At least so many times as fast as the slowest of other arms of the same case."""

    least: float
    of: tuple[str, ...]

    @property
    def text(self):
        return f"≥ {self.least:g} x {_slowest(self.of)}"

    def verdict(self, own, others):
        found = _paired(own, others, self.of, lambda mine, theirs: theirs / mine)
        return None if found is None else (f"{found:.2f}", found >= self.least)


@dataclass(frozen=True)
class Time:
    """At most so many times as long as the slowest of other arms of the same case."""

    most: float
    of: tuple[str, ...]

    @property
    def text(self):
        return f"≤ {self.most:g} x {_slowest(self.of)}"

    def verdict(self, own, others):
        found = _paired(own, others, self.of, lambda mine, theirs: mine / theirs)
        return None if found is None else (f"{found:.2f}", found <= self.most)


@dataclass(frozen=True)
class Cpu:
    """At most so many times the processor seconds of another arm of the same case, on the client's side."""

    most: float
    of: tuple[str, ...]

    @property
    def text(self):
        return f"≤ {self.most:g} x CPU of {_slowest(self.of)}"

    def verdict(self, own, others):
        found = _paired(own, others, self.of, lambda mine, theirs: mine / theirs, "client_cpu")
        return None if found is None else (f"{found:.2f}", found <= self.most)


@dataclass(frozen=True)
class Within:
    """At most so many seconds a call, in the median."""

    seconds: float

    @property
    def text(self):
        return f"≤ {duration(self.seconds)}"

    def verdict(self, own, _):
        return "", statistics.median(one.seconds for one in own) <= self.seconds


@dataclass(frozen=True)
class Memory:
    """At most so many bytes more than before, at the peak, on either side."""

    most: int

    @property
    def text(self):
        return f"≤ {self.most // MiB} MiB a side"

    def verdict(self, own, _):
        return "", max(max(one.client_peak, one.server_peak) for one in own) <= self.most


Target = Speed | Time | Cpu | Within | Memory


@dataclass(frozen=True)
class Arm:
    """One way to do the work of a case.

    Args:
        name: Said in the table, and by the targets of other arms.
        call: Does the work once; takes a number that no other call of the arm has.
        pids: The processes that serve it.
        transport: How the product is reached, for its own arms.
        target: What it has to reach.
        threads: As many call at the same time.
        reports: Whether `call` returns how many seconds count, having measured a part of what it does.
    """

    name: str
    call: Callable[[int], object]
    pids: tuple[int, ...] = ()
    transport: str = ""
    target: Target | None = None
    threads: int = 1
    reports: bool = False


@dataclass(frozen=True)
class Missing:
    """An arm that is not measured here, and the reason."""

    name: str
    reason: str
    transport: str = ""
    target: Target | None = None


@dataclass(frozen=True)
class Case:
    """The same work done by several arms, in turns.

    Args:
        name: Said in the table.
        arms: Ours first.
        size: Bytes moved by a call, if throughput is what counts.
        calls: As many calls make a sample.
        rounds: As many samples are taken of each arm.
        before: Called before each sample, outside of its time.
        warm: Whether each arm is called once before it is measured, for what the first call alone has to do.
        x: Where it stands in a plot of growth.
    """

    name: str
    arms: Sequence[Arm | Missing]
    size: int = 0
    calls: int = 1
    rounds: int = 5
    before: Callable[[], object] = field(default=lambda: None)
    warm: bool = True
    x: float = 0


@dataclass(frozen=True)
class Row:
    """A line of the table, as text for the reader and as numbers for programs."""

    what: str
    how: str
    transport: str = ""
    measured: str = ""
    quartiles: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None
    cpu: str = ""
    memory: str = ""
    seconds: tuple[float, ...] = ()
    x: float = 0
    module: str = ""


def duration(seconds):
    """Return a length of time with three digits, as ``1.27 ms``."""
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 0.9995:  # what rounds to one of a unit is written in it
            return f"{_three_digits(seconds * factor)} {unit}"
    return f"{seconds * 1e9:.0f} ns" if seconds else "0 s"


def _three_digits(number):
    return f"{number:.3g}" if number < 999.5 else f"{number:.0f}"


def size_text(count):
    """Return a number of bytes as ``256 MiB``."""
    for unit, factor in (("GiB", GiB), ("MiB", MiB), ("KiB", KiB)):
        if count >= factor:
            return f"{count / factor:.4g} {unit}"
    return f"{count:.0f} B"


def file_of(path: Path, size):
    """Write a file of so many random bytes, which compress to nothing, and return its path."""
    with path.open("wb") as file:
        for _ in range(size // MiB):
            file.write(os.urandom(MiB))
        file.write(os.urandom(size % MiB))
    return path


def _paired(own, others, names, ratio, field="seconds"):
    """Return the median of the ratios within each round; None if an arm is missing, which has no samples."""
    if not all(others.get(name) for name in names):
        return None
    columns = [[getattr(one, field) for one in taken] for taken in (own, *(others[name] for name in names))]
    return statistics.median(ratio(mine, max(theirs)) for mine, *theirs in zip(*columns, strict=True))


def _slowest(names):
    return names[0] if len(names) == 1 else f"the slower of {' and '.join(names)}"
