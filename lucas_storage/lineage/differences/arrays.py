"""Differences of two arrays of numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO, Final

from lucas_storage.errors import DecodeError
from lucas_storage.formats.base import package
from lucas_storage.preview_data import Preview
from lucas_storage.previews import array_head

from .difference import Change, ContentDifference, counted

_WHOLE: Final = 32 << 20
"""Bytes up to which all values are compared."""
_AT_ONCE: Final = 1 << 20
"""Values that are compared at a time, for which some copies are made."""
_SHOWN: Final = 5


@dataclass(slots=True)
class _Found:
    """What is known of the values that differ."""

    count: int = 0
    places: tuple[int, ...] = ()
    most: float = 0.0
    """The largest absolute difference of two values that are finite."""


def compared(before: tuple[BinaryIO, int], after: tuple[BinaryIO, int]) -> ContentDifference:
    """Return how two ``.npy`` files differ.

    Args:
        before: A file, seekable, and its bytes.
        after: The other one.

    Raises:
        DecodeError: One says that it has Python objects.
        ValueError: One is no such file.
    """
    # Beyond the size of a preview, so that both are told alike.
    looks = [array_head.of_npy(file, size, 0) for file, size in (before, after)]
    images = looks[0].image, looks[1].image
    changes = tuple(_facts(*looks))
    alike = not any(change.place in ("dtype", "shape") for change in changes)
    if not alike or max(before[1], after[1]) > _WHOLE:
        told = () if not alike else ("the arrays are large; a sample of their values is told",)
        return ContentDifference(kind="array", summary=told, changes=changes, images=images, complete=not alike)
    (shape, ours), (_, theirs) = (_values(*each) for each in (before, after))
    found = _Found()
    for start in range(0, ours.size, _AT_ONCE):
        _compare(found, ours[start : start + _AT_ONCE], theirs[start : start + _AT_ONCE], start)
    return ContentDifference(
        kind="array",
        summary=tuple(_told(found, ours.size)),
        changes=(*changes, *_changes(found, ours, theirs, shape)),
        images=images,
    )


def _facts(before: Preview, after: Preview) -> Iterator[Change]:
    for name in ("dtype", "shape", "order"):
        if before.facts[name] != after.facts[name]:
            yield Change.of(name, before.facts[name], after.facts[name])
    ours, theirs = before.numbers, after.numbers
    for name, label in (("low", "min"), ("high", "max"), ("mean", "mean"), ("nans", "NaNs"), ("infinite", "infinite")):
        pair = getattr(ours, name, None), getattr(theirs, name, None)
        if pair[0] != pair[1]:
            yield Change.of(label, *pair)


def _values(file: BinaryIO, size: int) -> tuple[tuple[int, ...], Any]:
    """Return the shape of an array, and its values in the order of its rows."""
    file.seek(0)
    shape, in_columns, dtype = array_head.header_of(file)
    if dtype.hasobject or prod(shape) * dtype.itemsize != size - file.tell():
        raise DecodeError("the array is another than its header says")
    values = package("numpy", "numpy").frombuffer(file.read(size), dtype)
    return shape, values.reshape(shape, order="F").reshape(-1) if in_columns else values


def _compare(found: _Found, before: Any, after: Any, start: int) -> None:
    numpy = package("numpy", "numpy")
    with numpy.errstate(all="ignore"):
        differ = before != after
        if before.dtype.kind in "fcmM":
            # A NaN is no other NaN than before.
            differ &= ~((before != before) & (after != after))  # noqa: PLR0124
        (places,) = numpy.nonzero(differ)
        found.count += len(places)
        found.places += tuple(start + int(place) for place in places[: _SHOWN - len(found.places)])
        if len(places) and before.dtype.kind in "biufc":
            kind = "c16" if before.dtype.kind == "c" else "f8"
            apart = numpy.abs(before[places].astype(kind) - after[places].astype(kind))
            finite = apart[numpy.isfinite(apart)]
            found.most = max(found.most, float(finite.max()) if finite.size else 0.0)


def _told(found: _Found, total: int) -> Iterator[str]:
    yield f"{found.count} of {counted(total, 'value')} differ"
    if found.most:
        yield f"by at most {found.most:.6g}"


def _changes(found: _Found, before: Any, after: Any, shape: tuple[int, ...]) -> Iterator[Change]:
    unravel = package("numpy", "numpy").unravel_index
    for place in found.places:
        index = ", ".join(str(int(at)) for at in unravel(place, shape)) if shape else ""
        yield Change.of(f"[{index}]", before[place], after[place])
