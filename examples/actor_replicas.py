"""Fan-out over replicas: four processes resample four years of weather, all from one table that was stored once.

How much does it rain on a wet day in Seattle, and how sure can one be? (A bootstrap: draw days again and again.)

lucas-storage run examples/actor_replicas.py
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from lucas import Workflow, function, workflow

from actorc.controller import ActorContext, ActorExecutor, ActorFunction
from lucas_storage import run, with_storage

context = ActorContext.createContext()

ON_IGNIS = ["actorc", "lucas-storage[pandas]"]  # what ignis installs: its own package, then this one


@function(wrapper=ActorFunction, provider="actor", venv="statistics", dependency=ON_IGNIS, replicas=4)
@with_storage
def resample(days: pd.DataFrame, seed: int) -> dict:  # the table arrives as a reference, and is read from the store
    rain = days.precipitation[days.precipitation > 0].to_numpy()
    draws = np.random.default_rng(seed).choice(rain, (500, rain.size))
    return {"means": draws.mean(axis=1), "process": os.getpid()}


@function(wrapper=ActorFunction, provider="actor", venv="statistics", dependency=ON_IGNIS)
@with_storage
def interval(samples: list[dict]) -> dict:
    means = np.concatenate([sample["means"] for sample in samples])
    low, high = np.quantile(means, [0.025, 0.975])
    return {"low": float(low), "high": float(high), "processes": len({sample["process"] for sample in samples})}


@workflow(executor=ActorExecutor)
def bootstrap(wf: Workflow):
    days, seeds = wf.input()["days"], wf.input()["seeds"]
    return wf.call("interval", {"samples": seeds.map(lambda seed: wf.call("resample", {"days": days, "seed": seed}))})


table = pd.read_csv(Path(__file__).parent / "data" / "seattle-weather.csv", parse_dates=["date"])
found = run(bootstrap, {"days": table, "seeds": list(range(16))})
print(f"a wet day brings {found['low']:.2f} to {found['high']:.2f} mm, as {found['processes']} processes found")
