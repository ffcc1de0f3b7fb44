"""Four years of weather, from a CSV file to a chart: steps pass references to each other, and work on values.

lucas-storage run examples/weather.py [CHART.png]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
from lucas import Workflow, function, workflow
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Column, Table

from lucas_storage import ArtifactRef, Out, Storage, run, with_storage

HERE = Path(__file__).parent


@function
@with_storage
def parse(raw: Path) -> pd.DataFrame:  # a reference arrives as a verified local file; a table leaves as a reference
    return pd.read_csv(raw, parse_dates=["date"])


@function
@with_storage
def clean(days: pd.DataFrame) -> pd.DataFrame:
    days = days.dropna().drop_duplicates("date").set_index("date")
    return days[days.temp_min <= days.temp_max]


@function
@with_storage
def summarise(days: pd.DataFrame) -> Annotated[pd.DataFrame, Out("parquet")]:
    months = days.resample("MS").agg({"temp_max": "mean", "temp_min": "mean", "precipitation": "sum"})
    return months.assign(wet_days=(days.precipitation > 0).resample("MS").sum())


@function
@with_storage
def draw(months: pd.DataFrame, storage: Storage) -> Path:  # `storage` is handed in; a file leaves as a reference
    figure = Figure(figsize=(10, 6), layout="constrained")
    warmth, rain = figure.subplots(2, sharex=True, height_ratios=[3, 2])
    middle = months.index + pd.Timedelta(days=14)
    warmth.fill_between(middle, months.temp_min, months.temp_max, color="#f4a261", alpha=0.25)
    warmth.plot(middle, months.temp_max, color="#c8553d", label="mean of the daily highs")
    warmth.plot(middle, months.temp_min, color="#2a6f97", label="mean of the daily lows")
    warmth.legend(loc="upper left", ncols=2, frameon=False)
    warmth.set(ylabel="Temperature (°C)", ylim=(-1, 34))
    warmth.set_title("Seattle weather by month", loc="left", fontsize="x-large", fontweight="bold")
    rain.bar(middle, months.precipitation, width=25, color="#61a5c2", zorder=3)
    rain.set(ylabel="Precipitation (mm)", xlabel="Month", xlim=pd.to_datetime(["2011-12-15", "2016-01-15"]))
    figure.align_ylabels()
    for axes in warmth, rain:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    figure.text(0.99, 0.01, "Source: NOAA daily records, 2012-2015", ha="right", fontsize="small", color="gray")
    chart = storage.scratch() / "weather.png"
    figure.savefig(chart, dpi=150)
    return chart


@function
@with_storage
def collect(days: ArtifactRef, months: ArtifactRef, chart: ArtifactRef) -> dict:  # references: nothing is read here
    return {"days": days, "months": months, "chart": chart}


@workflow
def report(wf: Workflow):
    days = wf.call("clean", {"days": wf.call("parse", {"raw": wf.input()["raw"]})})
    months = wf.call("summarise", {"days": days})
    return wf.call("collect", {"days": days, "months": months, "chart": wf.call("draw", {"months": months})})


refs = run(report, {"raw": HERE / "data" / "seattle-weather.csv"}, materialize=False)
months = refs["months"].load()

headings = (Column(name, justify="right") for name in ("High (°C)", "Low (°C)", "Rain (mm)", "Wet days"))
table = Table("Month", *headings, title="Seattle, an average year of 2012-2015", box=box.SIMPLE_HEAD)
for name, years in months.groupby(months.index.strftime("%B"), sort=False):
    table.add_row(name, *(f"{value:.1f}" for value in years.mean()))
Console().print(table)

chart = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "output" / "weather.png"
chart.parent.mkdir(parents=True, exist_ok=True)
shutil.copyfile(refs["chart"].path(), chart)
for name, ref in refs.items():
    print(f"  {name:<7} {ref}")
print(f"\nThe chart is {chart}")
