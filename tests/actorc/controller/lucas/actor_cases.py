"""The client of the actor platform on the engine that `lucas` is; prints the results as JSON.

python actor_cases.py    with IGNIS_ADDR and APP_ID in the environment
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lucas_storage import run
from lucas_storage.embedded import install

warnings.simplefilter("ignore")  # genuine Lucas speaks pydantic 1
install()

import lucas  # noqa: E402  # there only now, if it is the embedded engine
from lucas.serverless_function import Metadata  # noqa: E402

from actorc.controller.context import ActorContext, ActorExecutor, ActorFunction, ActorRuntime  # noqa: E402

context = ActorContext.createContext()
options = {"wrapper": ActorFunction, "provider": "actor", "venv": "cases"}


@lucas.function(**options)
def add(a, b=10):
    return a + helper(b)


def helper(b):
    return b


@lucas.function(**options, replicas=2)
def total(numbers):
    return sum(numbers)


@lucas.function(**options, name="named_otherwise")
def whole(params):
    return {**params, "pid": os.getpid()}


@lucas.function(**options)
def fail(a):
    raise ValueError(f"{a}: on purpose")


@lucas.function(**options)
def nothing(a):
    return None


@lucas.workflow(executor=ActorExecutor)
def chain(wf):
    made = wf.call("add", {"a": wf.input()["a"]})
    seen = wf.func(lambda value: value + 1, made)
    return wf.call("total", {"numbers": wf.func(lambda *values: list(values), made, seen)})


@lucas.workflow(executor=ActorExecutor)
def bundle(wf):
    return wf.call("named_otherwise", {"made": wf.call("add", {"a": 1, "b": 2}), "given": wf.input()["x"]})


@lucas.workflow(executor=ActorExecutor)
def sometimes(wf):
    a = wf.input()["a"]
    return wf.func(lambda value: wf.call("fail" if value < 0 else "add", {"a": value}), a)


@lucas.workflow(executor=ActorExecutor)
def empty(wf):
    wf.input()["a"]
    return wf.call("nothing", {"a": wf.call("nothing", {"a": None})})


@lucas.workflow(executor=ActorExecutor)
def misnamed(wf):
    wf.input()["a"]
    return wf.call("add", {"aa": 1})


def refusal(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001  # what it is, is under test
        return f"{type(error).__name__}, {str(error).splitlines()[0]}"


def by_hand(workflow, inputs):
    """Return the value of a workflow run as upstream's demos do."""
    router = {each.name: each.handler for each in lucas.routeBuilder.build().functions}
    workflow.set_runtime(ActorRuntime(Metadata("1", inputs, None, router, "invoke", None, None)))
    return workflow.generate().execute()


def lucas_own():
    """Return what genuine Lucas's own executor, runtime and functions make of our context, where there are any."""
    from actorc.controller.client.lucas_types import own_client, takes_provider_actor

    if not takes_provider_actor():
        return None
    client = own_client()

    def workflow():
        @lucas.workflow(provider="actor", executor=client.ActorExecutor)
        def own(wf):
            made = wf.call("add", {"a": wf.input()["a"], "b": 1})
            return wf.call("add", {"a": made, "b": wf.func(lambda value: value, made)})

        return own.export()

    def wrong():
        @lucas.workflow(provider="actor", executor=client.ActorExecutor)
        def own(wf):
            return wf.call("fail", {"a": wf.input()["a"]})

        return own.export()

    exported = workflow()
    return [
        exported({"a": 1}),
        exported({"a": 2}),
        client.ActorFunction(lambda a, b: a * b, {"name": "add"}).export()({"a": 3, "b": 4}),
        refusal(wrong(), {"a": 5}),
        refusal(client.ActorFunction(lambda a, b: a * b, {"name": "add"}).export(), {"a": 3, "c": 4}),
        exported({"a": 3}),
    ]


def main():
    exported = chain.export()
    with ThreadPoolExecutor(10) as pool:
        at_once = list(pool.map(lambda a: run(chain, {"a": a}), range(10)))
    made = [bundle.export()({"x": None}), run(bundle, {"x": [1]})]
    pids = {each.pop("pid") for each in made}
    results = {
        "chain": [exported({"a": 1}), exported({"a": 2}), run(chain, {"a": 3})],
        "at once": at_once,
        "bundle": made,
        "elsewhere": os.getpid() not in pids,
        "none": [empty.export()({"a": 1}), run(empty, {"a": 1})],
        "failing": [
            refusal(sometimes.export(), {"a": -1}),
            refusal(sometimes.export(), {"a": 1}),
            refusal(run, sometimes, {"a": -2}),
            refusal(run, sometimes, {"a": 2}),
        ],
        "misnamed": refusal(misnamed.export(), {"a": 1}),
        "direct": [add.export()({"a": 1, "b": 1}), refusal(fail.export(), {"a": 1})],
        "by hand": by_hand(chain, {"a": 1}),
        "left": [path.name for path in Path().iterdir()],
        "own": lucas_own(),  # writes a file of its own
    }
    print(json.dumps({"embedded": lucas.__name__ != "lucas", "results": results}))


if __name__ == "__main__":
    main()
    sys.exit(0)
