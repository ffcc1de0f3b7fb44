"""Run the benchmarks: ``python -m benchmarks [NAME …]``, the quick ones if none is named; ``--all`` for all rows.

Prints one table and writes the same as JSON. Each figure stands beside its baselines, measured in the same run and in
turns with them; on a shared machine only the ratios are comparable. A row that misses its target stays in the table.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path

from . import measuring, report
from .cases import Case
from .machine import machine
from .setting import FULL, SMALL, Setting

QUICK = ("large_objects", "small_calls", "latency", "steps", "chains", "command_line", "memory")
MORE = ("more_links", "listing", "plain_data", "fan_in", "streaming", "reuse", "gateways", "replicas", "random_readers")
RESULTS = Path("benchmarks/results.json")


def main(arguments):
    """Measure what is asked for, print it, and write it where it is asked for."""
    given = _parser().parse_args(arguments)
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a worker that ends is no news
    # Nor is the time in which a process that is measured compiles what it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if given.rows_of:
        rows, here = report.read_json(given.rows_of)
    else:
        scale = SMALL if given.small else FULL
        with Setting(replace(scale, rounds=given.rounds or scale.rounds)) as setting:
            rows = list(measured(given.names or (QUICK + MORE if given.all else QUICK), setting))
            here = machine(setting.folder)
        report.write_json(given.json, rows, here)
    report.print_table(rows, here)
    sys.stdout.write(report.summary(rows) + "\n")
    if given.write:
        report.write_tables(given.write, rows, here)


def measured(names, setting):
    """Yield the rows of the modules named, in their order; each says on standard error when it begins."""
    for name in names:
        sys.stderr.write(f"{name} …\n")
        for one in importlib.import_module(f"benchmarks.rows.{name}").cases(setting):
            for row in measuring.rows(one) if isinstance(one, Case) else [one]:
                yield replace(row, module=name)


def _parser():
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(QUICK + MORE)}")
    parser.add_argument("--all", action="store_true", help="measure all rows")
    parser.add_argument("--small", action="store_true", help="move little, to try the benchmarks themselves")
    parser.add_argument("--rounds", type=int, help="samples of each arm, instead of as many as a case needs")
    parser.add_argument("--json", type=Path, default=RESULTS, help="file for the rows and all samples")
    parser.add_argument("--write", type=Path, help="document whose tables of these rows, between markers, are replaced")
    parser.add_argument("--rows-of", type=Path, metavar="JSON", help="measure nothing; report what a run wrote before")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
