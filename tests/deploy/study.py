"""Functions and a workflow, each behind a worker of genuine Lucas's own; `test_knative_path` starts them.

`train` returns an object, which travels as a signed pickle, and `score` an array's worth of work on it. `note` and
`noted` are plain functions of Lucas's, which keep what they are given in the platform's Redis.
"""

import os

import numpy as np
from lucas import create_handler, function, workflow

from lucas_storage import StorageExecutor, with_storage


class Model:
    def __init__(self, weights):
        self.weights = weights
        self.pid = os.getpid()


@function
@with_storage
def train(n: int) -> dict:
    return {"model": Model(np.full(50_000, n)), "x": np.ones(50_000)}


@function
def note(rt):
    rt.storage.put(f"model-{rt.input()['n']}", rt.input()["trained"])
    return rt.input()["n"]


@function
def noted(rt):
    return rt.storage.get(f"model-{rt.input()['n']}")


@function
@with_storage
def score(trained: dict) -> dict:
    model = trained["model"]
    return {"score": float(model.weights @ trained["x"]), "pids": [model.pid, os.getpid()]}


@workflow(executor=StorageExecutor)
def study(wf):
    n = wf.input()["n"]
    kept = wf.call("note", {"n": n, "trained": wf.call("train", {"n": n})})
    return wf.call("score", {"trained": wf.call("noted", {"n": kept})})


train, note, noted, score, study = map(create_handler, (train, note, noted, score, study))
