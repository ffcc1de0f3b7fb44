"""Statistics of columns and arrays in a few words."""

from __future__ import annotations

from collections.abc import Iterator

from lucas_storage.preview_data import Column, Numbers


def of_column(column: Column, sample: str) -> Iterator[str]:
    """Yield the statistics of a column as short texts.

    Args:
        column: The column.
        sample: The part of the table that they are of.
    """
    whole = " of all rows" if column.whole and sample else ""
    if column.nulls is not None:
        yield f"{column.nulls} null{whole}"
    if column.low is not None:
        yield f"{column.low} … {column.high}{whole}"
    if column.mean is not None:
        yield f"mean {column.mean:.6g}"
    if column.distinct is not None:
        yield f"{column.distinct} different"
    if column.common:
        yield ", ".join(f"{value} \u00d7 {count}" for value, count in column.common)
    if column.nulls is not None and sample:
        yield f"of {sample}"


def of_numbers(numbers: Numbers, sample: str) -> dict[str, str]:
    """Return the statistics of an array as facts.

    Args:
        numbers: The statistics.
        sample: The part of the array that they are of.
    """
    found = {"values": sample} if sample else {}
    if numbers.low is not None:
        found |= {"min": numbers.low, "max": str(numbers.high)}
    if numbers.mean is not None:
        found["mean"] = f"{numbers.mean:.6g}"
    counts = {"NaN": numbers.nans, "infinite": numbers.infinite}
    return found | {name: str(count) for name, count in counts.items() if count}
