"""Small calls on the actor platform: many at once, and a workflow of as many, each beside a process pool.

Expected: a call passes three processes where a pool has two, and each of them reads and writes it in Python, so a third
of a pool's rate is good and a quarter is enough; for a workflow, of what the same graph has over the same pool. What is
left behind is nothing: threads and descriptors are as before.
"""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from actorc.controller.local import LocalController
from lucas_storage import StorageExecutor, embedded

from .harness import Row, alternate

CALLS, REPLICAS, ROUNDS = 1_000, 4, 5
ENOUGH = 0.25


def increased(x: int) -> int:
    return x + 1


def measure():
    embedded.install()
    with LocalController() as controller, ProcessPoolExecutor(REPLICAS) as pool:
        # its processes are forked, which is better done before there is a session
        list(pool.map(increased, range(REPLICAS)))
        actor, workflow = _actor(controller)
        pooled = _workflow(_over(pool))
        numbers = list(range(CALLS))
        actor(numbers)
        workflow({"numbers": numbers})
        pooled({"numbers": numbers})
        before = _held()
        called, pool_called, ran, pool_ran = alternate(
            ROUNDS,
            lambda: actor(numbers),
            lambda: list(pool.map(increased, numbers)),
            lambda: workflow({"numbers": numbers}),
            lambda: pooled({"numbers": numbers}),
        )
        after = _held()
    yield _row(f"{CALLS} calls, {REPLICAS} replicas", called, pool_called, "in a pool")
    yield _row(f"a workflow of {CALLS} calls, {REPLICAS} replicas", ran, pool_ran, "with its calls in a pool")
    grown = sum(after) - sum(before)
    yield Row("threads and descriptors kept", str(grown), f"{sum(before)} before", "", "≤ 2", grown <= 2)


def _row(what, actor, pooled, where):
    ratio = pooled / actor
    measured, baseline = f"{CALLS / actor:.0f} calls/s", f"{CALLS / pooled:.0f} calls/s {where}"
    return Row(what, measured, baseline, f"{ratio:.2f}", f"≥ {ENOUGH}", ratio >= ENOUGH)


def _actor(controller):
    """Return what calls the function for each number and returns the values, and the workflow that does."""
    from lucas import function

    from actorc.controller import ActorContext, ActorExecutor, ActorFunction
    from actorc.controller.client.calls import Calls
    from actorc.controller.lucas.functions import named

    ActorContext.createContext(controller.address, controller.app_id)
    function(wrapper=ActorFunction, provider="actor", replicas=REPLICAS, name="increased")(increased)

    def call_all(numbers):
        with Calls() as calls:
            begun = [calls.start(named("increased"), {"x": number}) for number in numbers]
            return calls.fetched([each.result() for each in begun])

    return call_all, _workflow(ActorExecutor)


def _workflow(executor):
    from lucas import workflow

    @workflow(executor=executor)
    def many(wf):
        return wf.input()["numbers"].map(lambda number: wf.call("increased", {"x": number}))

    return many.export()


def _over(pool):
    """Return an executor that has the calls of a workflow in a pool of processes."""

    class PoolExecutor(StorageExecutor):
        def _begun(self, _step, arguments):
            return pool.submit(increased, **arguments)

    return PoolExecutor


def _held():
    for thread in threading.enumerate():
        if thread.name.startswith("step "):
            thread.join()  # its run has ended, and told it to
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
