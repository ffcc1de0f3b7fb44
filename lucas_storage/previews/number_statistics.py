"""Statistics of the values of arrays, and a picture of those with two dimensions."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

from lucas_storage.formats.base import package
from lucas_storage.preview_data import PNG, Histogram, Numbers

BINS: Final = 20
"""Intervals of a histogram."""
_SIDE: Final = 256
"""Pixels of the longer side of a picture."""


def numbers_of(values: Any) -> Numbers | None:
    """Return the statistics of an array of numpy; None if its values are no numbers, or there are none.

    Of complex numbers, those of their absolute values; of times the smallest and the largest only.
    """
    numpy = package("numpy", "numpy")
    if not values.size or values.dtype.kind not in "biufcmM":
        return None
    if values.dtype.kind in "mM":
        known = values[~numpy.isnat(values)]
        low, high = _ends(known)
        return Numbers(count=int(values.size), nans=int(values.size - known.size), low=low, high=high)
    with numpy.errstate(all="ignore"):
        real = numpy.abs(values) if values.dtype.kind == "c" else values
        known = real if real.dtype.kind in "biu" else real[~numpy.isnan(real)]
        # Sums of 16 and 32 bits lose what the eye still sees.
        finite = known.astype("f8")
        finite = finite[numpy.isfinite(finite)]
        mean = float(finite.mean()) if finite.size else math.nan
        low, high = _ends(known)
    return Numbers(
        count=int(values.size),
        nans=int(values.size - known.size),
        infinite=int(known.size - finite.size),
        low=low,
        high=high,
        mean=mean if math.isfinite(mean) else None,
        histogram=_histogram(numpy, finite),
    )


def _ends(known: Any) -> tuple[str | None, str | None]:
    return (str(known.min()), str(known.max())) if known.size else (None, None)


def _histogram(numpy: Any, finite: Any) -> Histogram | None:
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    # The width of the whole range may be beyond every float, and numpy refuses one too small for its intervals.
    if not math.isfinite(high - low) or (low != high and low + (high - low) / BINS == low):
        return None
    if low == high:
        return Histogram(low=low, high=high, counts=(int(finite.size),))
    try:
        counts, _ = numpy.histogram(finite, bins=BINS, range=(low, high))
    except ValueError:  # of a range of so few floats that intervals coincide
        return None
    return Histogram(low=low, high=high, counts=tuple(map(int, counts)))


def histogram_of(values: Sequence[float]) -> Histogram | None:
    """Return the histogram of finite numbers, without numpy; None if there are none, or they lie too far apart."""
    if not values:
        return None
    low, high = min(values), max(values)
    width = (high - low) / BINS
    if low == high:
        return Histogram(low=low, high=high, counts=(len(values),))
    if not math.isfinite(high - low) or not width:
        return None
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int((value - low) / width))] += 1
    return Histogram(low=low, high=high, counts=tuple(counts))


def picture_of(values: Any) -> bytes | None:
    """Return a grey PNG file of an array of two dimensions, or one in colours of bytes with three; else None.

    The smallest value is black and the largest white; what is no number is black. Every so manieth row and column is
    taken, so that no side has more than 256 pixels.
    """
    numpy = package("numpy", "numpy")
    is_colour = values.ndim == 3 and values.shape[2] == 3 and values.dtype.str == "|u1"
    if not values.size or not (is_colour or (values.ndim == 2 and values.dtype.kind in "biuf")):
        return None
    height, width = values.shape[:2]
    if height < 2 or width < 2:
        return None
    step = -(-max(height, width) // _SIDE)
    taken = values[::step, ::step]
    pixels = taken if is_colour else _grey(numpy, taken)
    return _png(pixels.shape[1], pixels.shape[0], 2 if is_colour else 0, [row.tobytes() for row in pixels])


def _grey(numpy: Any, values: Any) -> Any:
    with numpy.errstate(all="ignore"):
        real = values.astype("f8")
        known = numpy.isfinite(real)
        low, high = (real[known].min(), real[known].max()) if known.any() else (0.0, 0.0)
        # Halves, since the whole range may be beyond every float.
        range_ = high / 2 - low / 2
        scaled = (real / 2 - low / 2) / (range_ if range_ > 0 else 1) * 255
        return numpy.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255).astype("u1")


def _png(width: int, height: int, colour: int, rows: list[bytes]) -> bytes:
    """Return a PNG file, which needs no package; each row begins with the number of its filter, none."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return PNG + b"".join(_chunk(*each) for each in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")))


def _chunk(tag: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
