"""A workflow whose run leaves records of every kind, and prints as JSON what a later run must find.

``first`` leaves a step unfinished and publishes; ``again`` goes on.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction

import numpy as np
from lucas import Workflow, function, workflow

from lucas_storage import ArtifactRef, Storage, run, with_storage

IS_FIRST = sys.argv[1] == "first"
ran = []


@function
@with_storage(cache=True, version="1")
def numbers(count: int) -> np.ndarray:
    ran.append("numbers")
    return np.arange(count, dtype="<f8")


@function
@with_storage(cache=True, version="1")
def described(values: np.ndarray) -> dict:
    ran.append("described")
    return {"total": float(values.sum()), "text": "grün"}


@function
@with_storage(cache=True, version="1")
def third(count: int):  # without an annotation, a pickle keeps it
    ran.append("third")
    return Fraction(count, 3)


@function
@with_storage(version="1")
def trained(values: np.ndarray, storage: Storage) -> int:
    checkpoint = storage.checkpoint()
    state = checkpoint.load(default={"epoch": 0})
    if IS_FIRST:
        checkpoint.save({"epoch": 3})
        raise OSError("a power cut in epoch 4")
    return state["epoch"] + len(values) // len(values)


@function
@with_storage
def published(values: ArtifactRef, storage: Storage) -> str:
    return str(storage.publish(values, "numbers", alias="prod", tags={"quality": "good"}).digest)


@workflow
def making(wf: Workflow):
    values = wf.call("numbers", {"count": wf.input()["count"]})
    whole = {
        "described": wf.call("described", {"values": values}),
        "third": wf.call("third", {"count": wf.input()["count"]}),
    }
    return {**whole, "published": wf.call("published", {"values": values})} if IS_FIRST else whole


@workflow
def training(wf: Workflow):
    return wf.call("trained", {"values": wf.call("numbers", {"count": wf.input()["count"]})})


made = run(making, {"count": 5000})
found = {
    "described": made["described"],
    "third": str(made["third"]),
    "is_fraction": isinstance(made["third"], Fraction),
}
try:
    found["epoch"] = run(training, {"count": 5000})
except OSError as error:
    found["error"] = str(error)
storage = Storage()
found["prod"] = storage.get(storage.lookup("numbers@prod"), np.ndarray)[-1]
print(json.dumps({**found, "ran": sorted(ran)}))
