"""Workflows that ignis has trouble with; prints as JSON what each of those named returned.

python ignis_cases.py ours|own CASE ...    with IGNIS_ADDR or MASTER_ADDR, and APP_ID; "own" is genuine Lucas's client
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

warnings.simplefilter("ignore")  # genuine Lucas speaks pydantic 1
IS_OWN = sys.argv[1] == "own"
if not IS_OWN:
    from lucas_storage.embedded import install

    install()

from lucas import function, workflow  # noqa: E402  # there only now, if it is the embedded engine

if IS_OWN:
    from lucas.actorc.actor import ActorContext, ActorExecutor, ActorFunction
else:
    from actorc.controller import ActorContext, ActorExecutor, ActorFunction

ActorContext.createContext()
OPTIONS = {"wrapper": ActorFunction, "provider": "actor", "venv": "cases"}


@function(name="add", **OPTIONS)
def add(a, b):
    return a + b


@function(name="mul", **OPTIONS)
def mul(a, b):
    return a * b


@function(name="pair", replicas=2, **OPTIONS)
def pair(a, b):
    return [a, b]


@function(name="seven", **OPTIONS)
def seven():
    return 7


@function(name="picky", **OPTIONS)
def picky(a):
    if a < 0:
        raise ValueError("below zero")
    return a


@function(name="with.dots", **OPTIONS)
def with_dots(a):
    return a


@function(name="with::colons", **OPTIONS)
def with_colons(a):
    return a


@function(name="lacking", **{**OPTIONS, "venv": f"lacking-{os.getpid()}", "dependency": ["no-such-thing-0123"]})
def lacking(a):
    return a


@function(name="ending", **{**OPTIONS, "venv": f"ending-{os.getpid()}"})
def ending(a):
    os._exit(1)


def made(body):
    return workflow(executor=ActorExecutor, provider="actor")(body)


@made
def step(wf):
    return wf.call("add", {"a": wf.input()["x"], "b": 2})


@made
def chain(wf):
    return wf.call("mul", {"a": wf.call("add", {"a": wf.input()["x"], "b": 2}), "b": 10})


@made
def fan(wf):
    x = wf.input()["x"]
    return wf.func(lambda *sums: list(sums), *[wf.call("add", {"a": x, "b": i}) for i in range(5)])


@made
def diamond(wf):
    x = wf.input()["x"]
    top = wf.call("add", {"a": x, "b": 1})
    left, right = wf.call("pair", {"a": top, "b": x}), wf.call("pair", {"a": x, "b": top})
    return wf.call("pair", {"a": left, "b": right})


@made
def parameterless(wf):
    wf.input()["x"]
    return wf.call("seven", {})


@made
def failing(wf):
    return wf.call("picky", {"a": wf.input()["x"]})


@made
def names(wf):
    return wf.call("with.dots", {"a": wf.call("with::colons", {"a": wf.input()["x"]})})


@made
def undeployed(wf):
    return wf.call("lacking", {"a": wf.input()["x"]})


@made
def ended(wf):
    return wf.call("ending", {"a": wf.input()["x"]})


def refusal(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001  # what it is, is under test
        return f"{type(error).__name__}, {str(error).splitlines()[0]}"


def at_once():
    from lucas_storage import run

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda x: run(chain, {"x": x}), range(16)))


def failures():
    exported = failing.export()
    return [refusal(exported, {"x": x}) for x in (-1, 1, -2, -3, 2, 3)]


def object_of_a_class():
    from lucas import actor

    from actorc.controller import ActorRuntimeClass

    class Counter:
        def add(self, by):
            return by

    counter = actor(wrapper=ActorRuntimeClass, provider="actor", name="counter", venv="cases")(Counter)
    return refusal(counter.export().remote, "add", {"by": 1})


CASES = {
    "step": lambda: step.export()({"x": 1}),
    "chain": lambda: chain.export()({"x": 1}),
    "fan": lambda: fan.export()({"x": 1}),
    "diamond": lambda: diamond.export()({"x": 1}),
    "parameterless": lambda: [parameterless.export()({"x": 1}) for _ in range(2)],
    "failing": failures,
    "names": lambda: names.export()({"x": 1}),
    "at once": at_once,
    "undeployed": lambda: refusal(undeployed.export(), {"x": 1}),
    "object": object_of_a_class,
    "ended": lambda: refusal(ended.export(), {"x": 1}),
}

if __name__ == "__main__":
    print(json.dumps({name: CASES[name]() for name in sys.argv[2:]}), flush=True)
    os._exit(0)  # genuine Lucas's client leaves a thread behind
