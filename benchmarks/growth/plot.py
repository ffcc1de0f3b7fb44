"""Charts as SVG files, all in one style."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.cases import size_text

STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "lucas-storage",
}
OURS = ("#0b5fa5", "#2a9d8f", "#7b4fa3", "#5b8c2a")
OTHERS = ("#e07a1f", "#8d8d8d", "#c44e52", "#b8a100")
FIXED = {"ours, Unix socket": OURS[0], "ours, TCP": OURS[1], "bare": OTHERS[0], "cp": OTHERS[1], "Path": OTHERS[1]}
FIXED |= {"obstore": OTHERS[2]}
"""Colors of lines by how their names begin, the same in all charts; others take the next one."""


def draw(chart, lines, path):
    """Draw the lines of a chart, with a band between the quartiles.

    Args:
        chart: What the axes are.
        lines: By the name of the arm, its points: x, median, lower and upper quartile. Ours come first.
        path: File to write.
    """
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
        for color, marker, (name, found) in _styled(lines):
            xs, medians, lows, highs = zip(*sorted(map(tuple, found)), strict=True)
            axes.plot(xs, medians, color=color, marker=marker, label=name)
            axes.fill_between(xs, lows, highs, color=color, alpha=0.15, linewidth=0)
        _axes(chart, axes, sorted({point[0] for found in lines.values() for point in found}))
        # beside the plot, so that it never covers a line
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)


def _styled(lines):
    """Yield a color and a marker for each line: ours in cold colors with circles, others in warm ones with squares."""
    cold, warm = iter(OURS), iter(OTHERS)
    for name, found in lines.items():
        ours = name.startswith("ours")
        fixed = next((color for begin, color in FIXED.items() if name.startswith(begin)), None)
        yield fixed or next(cold if ours else warm), "o" if ours else "s", (name, found)


def _axes(chart, axes, xs):
    axes.set_title(chart.title)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    if xs[-1] >= 8 * xs[0]:
        axes.set_xscale("log")
        xs = _apart(xs)
    axes.set_xticks(xs, [size_text(x) if chart.in_bytes else _count(x) for x in xs])
    axes.xaxis.set_minor_locator(NullLocator())
    if chart.y_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _apart(xs):
    """Return those whose labels do not touch on an axis of logarithms, the first and the last among them."""
    room = (xs[-1] / xs[0]) ** (1 / 8)
    kept = [xs[0]]
    for x in xs[1:-1]:
        if x / kept[-1] >= room and xs[-1] / x >= room:
            kept.append(x)
    return [*kept, xs[-1]]


def _count(number):
    """Return a number as ``10 k``."""
    for unit, factor in ((" M", 1_000_000), (" k", 1000)):
        if number >= factor:
            return f"{number / factor:g}{unit}"
    return f"{number:g}"
