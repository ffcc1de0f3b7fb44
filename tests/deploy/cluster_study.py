"""A workflow on a running cluster of genuine Lucas; prints what it gives as JSON.

python cluster_study.py MASTER
"""

import json
import os
import sys

os.environ["provider"] = "cluster"  # noqa: SIM112  # that is how Lucas spells it

import numpy as np
from lucas import function, workflow
from lucas.cluster.client import ClusterExecutor, Context
from lucas.cluster.scheduler import RobinScheduler

from lucas_storage import run, with_storage

context = Context.create_context(sys.argv[1])
scheduler = RobinScheduler(sys.argv[1])
context.set_scheduler(scheduler)  # it gives the steps to the nodes in turn


class Model:
    def __init__(self, weights):
        self.weights = weights


@function
@with_storage
def train(n: int) -> dict:
    return {"model": Model(np.full(50_000, n)), "pid": os.getpid()}


@function
@with_storage
def score(trained: dict, x: np.ndarray) -> dict:
    return {"score": float(trained["model"].weights @ x), "pids": [trained["pid"], os.getpid()]}


@workflow(executor=ClusterExecutor, provider="cluster")
def study(wf):
    return wf.call("score", {"trained": wf.call("train", {"n": wf.input()["n"]}), "x": wf.input()["x"]})


scheduler.analyze(study.generate().valicate())
for attempt in range(5):
    try:
        result = run(study, {"n": 3, "x": np.ones(50_000)})
        break
    except RuntimeError as error:
        # a worker tells the client of a result before it tells the master where that is
        if attempt == 4 or "has no value" not in str(error):
            raise
print(json.dumps(result), flush=True)
os._exit(0)  # the session's threads end with the cluster only
