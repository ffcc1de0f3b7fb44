"""From CSV to Parquet to a report: each step names the type it wants, and gets it whatever the one before returned.

lucas-storage run examples/etl.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow as pa
from lucas import Workflow, function, workflow
from pyarrow import csv

from lucas_storage import ArtifactRef, Out, run, with_storage

HERE = Path(__file__).parent


@function
@with_storage
def to_parquet(raw: Path) -> Annotated[pa.Table, Out("parquet", name="weather.parquet")]:
    return csv.read_csv(raw)


@function
@with_storage(cache=True)  # the same table is reported on once, in this run and in all others
def by_year(days: pd.DataFrame) -> dict:  # small, so it travels as it is
    years = days.groupby(pd.to_datetime(days.date).dt.year)
    return {str(year): {"days": len(one), "mean high": round(one.temp_max.mean(), 2)} for year, one in years}


@function
@with_storage
def with_sizes(raw: ArtifactRef, table: ArtifactRef, report: dict) -> dict:  # references: nothing is read here
    return {"CSV": raw.size, "Parquet": table.size, **report}


@workflow
def etl(wf: Workflow):
    raw = wf.input()["raw"]
    table = wf.call("to_parquet", {"raw": raw})
    return wf.call("with_sizes", {"raw": raw, "table": table, "report": wf.call("by_year", {"days": table})})


report = run(etl, {"raw": HERE / "data" / "seattle-weather.csv"})
print(f"{report.pop('CSV')} bytes of CSV are {report.pop('Parquet')} bytes of Parquet")
for year, found in report.items():
    print(f"{year}: {found['days']} days, mean high {found['mean high']} °C")
