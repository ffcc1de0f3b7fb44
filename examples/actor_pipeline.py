"""A pipeline on the actor platform: a step in another process reads an object, and writes one.

Without a platform (`IGNIS_ADDR`), `lucas-storage run` starts one on this machine.

lucas-storage run examples/actor_pipeline.py
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pandas as pd
from lucas import Workflow, function, workflow

from actorc.controller.context import ActorContext, ActorExecutor, ActorFunction
from actorc.storage import StorageClient

HERE = Path(__file__).parent
context = ActorContext.createContext()


@function(
    wrapper=ActorFunction,
    dependency=["actorc", "lucas-storage[pandas]"],  # what ignis installs: its own package, then this one
    provider="actor",
    name="process_file",
    venv="myenv",
)
def process_file(params: dict):
    storage = StorageClient()  # configured where it runs: by the worker's environment
    input_data = storage.get_object(bucket=params["input_bucket"], key=params["input_key"])
    result = process_data(input_data)
    storage.put_object(bucket=params["output_bucket"], key=params["output_key"], data=result)
    return {"status": "success", "output_key": params["output_key"], "pid": os.getpid()}


def process_data(data: bytes) -> bytes:
    """Return the months of daily weather, as Parquet."""
    days = pd.read_csv(io.BytesIO(data), parse_dates=["date"]).set_index("date")
    months = days.resample("MS").agg({"temp_max": "mean", "temp_min": "mean", "precipitation": "sum"})
    return months.to_parquet()


@workflow(executor=ActorExecutor)
def data_pipeline(wf: Workflow):
    _in = wf.input()
    return wf.call(
        "process_file",
        {
            "input_bucket": "input-data",
            "input_key": _in["input_key"],
            "output_bucket": "processed-data",
            "output_key": "processed/data.parquet",
        },
    )


with StorageClient() as storage:
    storage.upload_file("input-data", "raw/data.csv", HERE / "data" / "seattle-weather.csv")
    answer = data_pipeline.export()({"input_key": "raw/data.csv"})
    months = pd.read_parquet(io.BytesIO(storage.get_object("processed-data", answer["output_key"])))

print(f"{answer['status']}, in another process: {answer['pid'] != os.getpid()}")
print(f"{len(months)} months, the warmest day of a month was {months.temp_max.max():.1f} °C on average in", end=" ")
print(f"{months.temp_max.idxmax():%B %Y}")
