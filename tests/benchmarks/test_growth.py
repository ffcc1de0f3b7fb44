"""The plots of growth: what a chart is drawn from, and that a file is the same for the same points."""

from __future__ import annotations

import json

import pytest

from benchmarks.cases import Arm, Case, KiB, MiB
from benchmarks.growth import __main__ as growth
from benchmarks.growth import plot, sizes
from benchmarks.growth.charts import Chart, points_of

CHART = Chart("sizes", "Sizes", "size", "MiB/s", lambda case, sample: case.size / sample.seconds, in_bytes=True)
LINES = {"ours, TCP": [(MiB, 2, 1, 3), (KiB, 1, 1, 1)], "bare": [(KiB, 3, 3, 3), (MiB, 4, 4, 4)]}


def test_a_point_has_the_median_and_the_quartiles_of_what_the_chart_makes_of_the_samples():
    given = iter([1, 2, 4])
    case = Case("c", [Arm("a", lambda _: next(given), reports=True)], size=8, rounds=3, warm=False, x=10)

    assert list(points_of(case, CHART)) == [("sizes", "a", (10, 4, 3, 6))]


def test_a_point_that_cannot_be_measured_ends_the_plot_with_its_reason():
    def refuse(_):
        raise OSError("disk full")

    with pytest.raises(RuntimeError, match="a at 10: failed: OSError: disk full"):
        list(points_of(Case("c", [Arm("a", refuse)], x=10), CHART))


def test_the_same_points_make_the_same_file(tmp_path):
    for name in ("one", "two"):
        plot.draw(CHART, LINES, tmp_path / name)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert b"<svg" in (tmp_path / "one").read_bytes()


def test_charts_are_drawn_again_from_the_points_without_measuring(tmp_path):
    points = tmp_path / "growth.json"
    points.write_text(json.dumps({sizes.GET.name: LINES}))

    growth.main(["sizes", "--drawn-again", "--folder", str(tmp_path / "plots"), "--points", str(points)])

    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["size-get.svg"]
