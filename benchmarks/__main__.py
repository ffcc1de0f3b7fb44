"""Run the benchmarks, or those named: ``python -m benchmarks [memory transfers small_calls listing workflow …]``.

The expectation of each was written before its first run; rows that miss it stay in the table. Prints one table and
writes the same as JSON. Each figure is beside its baseline, measured in the same run; on a shared machine only the
ratios are comparable.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

ALL = (
    "transfers",
    "memory",
    "small_calls",
    "listing",
    "steps",
    "plain_data",
    "workflow",
    "fans",
    "streaming",
    "reuse",
    "overhead",
    "gateways",
    "replicas",
)


def main(names: list[str]) -> None:
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a worker that ends is no news
    rows = [row for name in names or ALL for row in importlib.import_module(f"benchmarks.{name}").measure()]
    table = Table(title="Two processes, loopback, durability on", title_justify="left")
    for column in ("what", "measured", "baseline", "ratio", "expected", "met"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for row in rows:
        table.add_row(row.what, row.measured, row.baseline, row.ratio, row.target, "yes" if row.met else "no")
    Console(width=140).print(table)
    Path("benchmarks/results.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


main(sys.argv[1:])
