"""The rows of `latency` over links with 1 and 100 ms of round trip, and over one without limits."""

from __future__ import annotations

from benchmarks.cases import MiB

from .latency import over_links

LINKS = (
    (0.001, {"bandwidth": 1000 * MiB, "window": 4 * MiB}),
    (0.020, {}),
    (0.100, {"bandwidth": 125 * MiB, "window": 2 * MiB}),
)


def cases(setting):
    yield from over_links(setting, *LINKS)
