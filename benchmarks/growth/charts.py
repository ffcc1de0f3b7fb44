"""A chart: its axes, and the values of its lines as they are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import measuring
from benchmarks.cases import Case, Sample


@dataclass(frozen=True)
class Chart:
    """A plot with one line for each arm.

    Args:
        name: Of the file.
        title: Above the plot.
        x_label: What grows, with its unit.
        y_label: What is measured, with its unit.
        value: Makes a value of a sample of a case; None for a module that measures without cases.
        in_bytes: Whether what grows is a size.
        y_log: Whether the values span orders of magnitude.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    value: Callable[[Case, Sample], float] | None
    in_bytes: bool = False
    y_log: bool = True


def points_of(case, *charts):
    """Yield the name of a chart, the name of an arm, and its value there: x, median, lower and upper quartile."""
    taken, failures = measuring.samples(case)
    for name, reason in failures.items():
        raise RuntimeError(f"{name} at {case.x}: {reason}")
    for chart in charts:
        for name, samples in taken.items():
            values = [chart.value(case, one) for one in samples]
            median, low, high = measuring.median_and_quartiles(values)
            yield chart.name, name, (case.x, median, low, high)
