"""A run that is killed and goes on: what its steps have made is found, and only the rest is executed.

The script starts itself once more as a process of its own, which is killed in the middle of a step.

lucas-storage run examples/resume.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from lucas import Workflow, function, workflow

from lucas_storage import run, storage_context, with_storage

CSV = Path(__file__).parent / "data" / "seattle-weather.csv"
BE_KILLED = "BE_KILLED"


@function
@with_storage
def highs(raw: Path) -> np.ndarray:
    return np.loadtxt(raw, delimiter=",", skiprows=1, usecols=2)


@function
@with_storage
def smooth(values: np.ndarray, days: int) -> np.ndarray:
    if days == 90 and BE_KILLED in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.convolve(values, np.ones(days) / days, mode="valid")


@function
@with_storage
def spread(values: np.ndarray) -> float:
    return float(np.ptp(values))


@workflow
def seasons(wf: Workflow):
    week = wf.call("smooth", {"values": wf.call("highs", {"raw": wf.input()["raw"]}), "days": 7})
    quarter = wf.call("smooth", {"values": wf.call("smooth", {"values": week, "days": 30}), "days": 90})
    return wf.call("spread", {"values": quarter})


def first_attempt() -> int:
    command = [sys.executable, "-m", "lucas_storage.cli", "run", __file__]
    environment = {**os.environ, BE_KILLED: "1", "LUCAS_STORAGE_RESUME": "1"}
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


if BE_KILLED not in os.environ:
    print(f"first attempt: killed by signal {-first_attempt()}")
with storage_context(resume=True):  # or LUCAS_STORAGE_RESUME=1 in the environment
    print(f"between the seasons: {run(seasons, {'raw': CSV}):.1f} °C")
