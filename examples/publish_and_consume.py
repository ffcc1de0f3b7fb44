"""One run publishes a model by name, another uses it: what they share is the name, and an alias that moves.

lucas-storage run examples/publish_and_consume.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from lucas import Workflow, function, workflow

from lucas_storage import ArtifactRef, Storage, run, with_storage

CSV = Path(__file__).parent / "data" / "seattle-weather.csv"


@function
@with_storage
def fit(raw: Path, waves: int) -> np.ndarray:
    """Return how the warmest temperature of a day follows from the day of the year."""
    days = pd.read_csv(raw, parse_dates=["date"])
    return np.linalg.lstsq(seasons(days.date, waves), days.temp_max, rcond=None)[0]


@function
@with_storage
def release(model: ArtifactRef, raw: Path, storage: Storage) -> dict:
    days = pd.read_csv(raw, parse_dates=["date"])
    weights = storage.get(model, np.ndarray)
    misses = days.temp_max - seasons(days.date, len(weights) // 2) @ weights
    score = 1 - float(misses.var() / days.temp_max.var())
    ref = storage.publish(model, "seasons", alias="prod" if score > 0.7 else None, tags={"score": score})
    return {"model": ref, "score": round(score, 3)}


@function
@with_storage
def expect(model: np.ndarray, days: list[str]) -> list[float]:
    return (seasons(pd.Series(pd.to_datetime(days)), len(model) // 2) @ model).round(1).tolist()


def seasons(days: pd.Series, waves: int) -> np.ndarray:
    turn = 2 * np.pi * days.dt.day_of_year.to_numpy() / 365.25
    return np.stack([np.ones(len(turn)), *(f(k * turn) for k in range(1, waves + 1) for f in (np.sin, np.cos))], axis=1)


@workflow
def training(wf: Workflow):
    model = wf.call("fit", {"raw": wf.input()["raw"], "waves": wf.input()["waves"]})
    return wf.call("release", {"model": model, "raw": wf.input()["raw"]})


@workflow
def forecast(wf: Workflow):
    return wf.call("expect", {"model": wf.input()["model"], "days": wf.input()["days"]})


for waves in (2, 0):  # the second is not good enough for the alias
    print(f"published with {waves} waves, score {run(training, {'raw': CSV, 'waves': waves})['score']}")
model = Storage().lookup("seasons@prod")  # resolved here, once: the alias may move while the run goes on
days = ["2025-01-15", "2025-07-15"]
print("expected highs", dict(zip(days, run(forecast, {"model": model, "days": days}), strict=True)))
