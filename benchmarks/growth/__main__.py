"""Measure and draw how costs grow: ``python -m benchmarks.growth [sizes objects clients workers readers]``.

Draws one SVG for each chart into ``docs/performance``, and writes the points as JSON, from which ``--drawn-again``
draws them without measuring.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from benchmarks.setting import FULL, SMALL, Setting

from .plot import draw

NAMES = ("sizes", "objects", "clients", "workers", "readers")
FOLDER = Path("docs/performance")
POINTS = Path("benchmarks/growth.json")


def main(arguments):
    """Measure the charts that are asked for and draw them; those measured before and not now are kept in the JSON."""
    given = _parser().parse_args(arguments)
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a worker that ends is no news
    known = json.loads(given.points.read_text()) if given.points.exists() else {}
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in given.names or NAMES:
        module = importlib.import_module(f"benchmarks.growth.{name}")
        if not given.drawn_again:
            known |= _measured(module, name, given)
            given.points.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
        for chart in module.CHARTS:
            if chart.name in known:
                draw(chart, known[chart.name], given.folder / f"{chart.name}.svg")


def _measured(module, name, given):
    """Return the points of each line of each chart of a module; ours before those of others."""
    along = [x for x in (module.SMALL if given.small else module.ALONG) if not given.up_to or x <= given.up_to]
    found = defaultdict(lambda: defaultdict(list))
    scale = SMALL if given.small else FULL
    with Setting(replace(scale, rounds=given.rounds or scale.rounds)) as setting:
        for chart, line, point in module.points(setting, along):
            sys.stderr.write(f"{name}: {chart}, {line}, {point[0]:g}: {point[1]:.3g}\n")
            found[chart][line].append(point)
    return found


def _parser():
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all if none is given")
    parser.add_argument("--small", action="store_true", help="few points, to try the benchmarks themselves")
    parser.add_argument("--up-to", type=int, help="leave out points beyond: bytes for sizes, else a count")
    parser.add_argument("--rounds", type=int, help="samples of each point, instead of as many as it needs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the plots go")
    parser.add_argument("--points", type=Path, default=POINTS, help="file of the points, read and written")
    parser.add_argument("--drawn-again", action="store_true", help="measure nothing; draw the points of the file")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
