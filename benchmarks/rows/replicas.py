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
from benchmarks.cases import Arm, Case, Row, Speed
from lucas_storage import StorageExecutor, embedded

CALLS, REPLICAS = 1_000, 4
ENOUGH, POOL = 0.25, "pool of processes"


def increased(x: int) -> int:
    return x + 1


def cases(setting):
    embedded.install()
    with LocalController() as controller, ProcessPoolExecutor(REPLICAS) as pool:
        # its processes are forked, which is better done before there is a session
        list(pool.map(increased, range(REPLICAS)))
        actor, workflow = _actor(controller)
        pooled = _workflow(_over(pool))
        numbers = list(range(CALLS))
        target = Speed(ENOUGH, (POOL,))
        arms = [
            Arm("actor platform", lambda _: actor(numbers), target=target),
            Arm(POOL, lambda _: list(pool.map(increased, numbers))),
        ]
        yield Case(f"{CALLS} calls, {REPLICAS} replicas", arms, rounds=setting.scale.rounds)
        arms = [
            Arm("actor platform", lambda _: workflow({"numbers": numbers}), target=target),
            Arm(POOL, lambda _: pooled({"numbers": numbers})),
        ]
        before = _held()
        yield Case(f"a workflow of {CALLS} calls, {REPLICAS} replicas", arms, rounds=setting.scale.rounds)
        grown = sum(_held()) - sum(before)
    yield Row("threads and descriptors kept", "actor platform", "", str(grown), target="≤ 2", met=grown <= 2)


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
