"""Small calls on the actor platform: a workflow of many over four replicas, beside the same calls in a process pool.

Expected: the pool is a pipe away and has neither a controller between nor a graph to follow, so half of its rate is
good and a quarter is enough. What is left behind is nothing: processes, threads and descriptors are as before.
"""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from actorc.controller.local import LocalController
from lucas_storage import embedded, run

from .harness import Row, alternate

CALLS, REPLICAS, ROUNDS = 1_000, 4, 3


def increased(x: int) -> int:
    return x + 1


def measure():
    embedded.install()
    with LocalController() as controller, ProcessPoolExecutor(REPLICAS) as pool:
        workflow = _workflow(controller)
        numbers = list(range(CALLS))
        run(workflow, {"numbers": numbers[:REPLICAS]})
        list(pool.map(increased, numbers[:REPLICAS]))
        before = _held()
        actor, pooled = alternate(
            ROUNDS,
            lambda: run(workflow, {"numbers": numbers}, materialize=False),
            lambda: list(pool.map(increased, numbers)),
        )
        after = _held()
    ratio = pooled / actor
    measured, baseline = f"{CALLS / actor:.0f} calls/s", f"{CALLS / pooled:.0f} calls/s in a pool"
    yield Row(f"{CALLS} calls, {REPLICAS} replicas", measured, baseline, f"{ratio:.2f}", "≥ 0.25", ratio >= 0.25)
    grown = sum(after) - sum(before)
    yield Row("threads and descriptors kept", str(grown), f"{sum(before)} before", "", "≤ 2", grown <= 2)


def _workflow(controller):
    from lucas import function, workflow

    from actorc.controller import ActorContext, ActorExecutor, ActorFunction

    ActorContext.createContext(controller.address, controller.app_id)
    function(wrapper=ActorFunction, provider="actor", replicas=REPLICAS, name="increased")(increased)

    @workflow(executor=ActorExecutor)
    def many(wf):
        return wf.input()["numbers"].map(lambda number: wf.call("increased", {"x": number}))

    return many


def _held():
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
