"""Every shape of graph with every style of function, on the engine that `lucas` is; prints the results as JSON.

python engine_cases.py ENDPOINT CACHE_DIRECTORY
"""

from __future__ import annotations

import contextvars
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lucas_storage import run, storage_context, with_storage
from lucas_storage.embedded import install

install()

import lucas  # noqa: E402  # there only now, if it is the embedded engine

BIG = 10_000


class Identity(lucas.Function):
    """Functions that get one dict, as with ignis's wrapper."""

    def _transformfunction(self, fn):
        return fn


def registered(style, name, body):
    """Register a function of keyword parameters in a style; its names are its own in every style."""
    if style == "rt":

        def step(rt):
            return body(**rt.input())

        options = {}
    elif style == "dict":

        def step(params):
            return body(**params)

        options = {"provider": "identity", "wrapper": Identity}
    else:
        step, options = body, {}
    step.__name__ = step.__qualname__ = f"{style}_{name}"
    lucas.function(name=f"{style}_{name}", **options)(with_storage(**OPTIONS.get(name, {}))(step))


def make(n):
    return np.full(BIG, n)


def total(x):
    return int(np.asarray(x).sum())


def scale(x, by):
    return x * by


def join(left, right):
    return int((left + right).sum())


def split(n):
    return [np.full(BIG, k) for k in range(n)]


def gather(sizes):
    return sum(sizes)


def pair(n):
    return {"a": np.full(BIG, n), "b": [np.full(BIG, 2 * n), None]}


def nothing():
    return None


def is_none(x):
    return x is None


def flaky(n):
    ATTEMPTS[n] = ATTEMPTS.get(n, 0) + 1
    if ATTEMPTS[n] % 3:
        raise ConnectionError("not yet")
    return np.full(BIG, n)


def apart(x):
    return [os.getpid() != PARENT, int(x.sum())]


ATTEMPTS = {}
PARENT = os.getpid()
OPTIONS = {"flaky": {"retries": 2, "backoff": 0}, "apart": {"retries": 1, "timeout": 60}}
BODIES = {
    body.__name__: body for body in (make, total, scale, join, split, gather, pair, nothing, is_none, flaky, apart)
}


def shapes(style):
    """Return the workflows, by shape."""

    def call(wf, name, **parameters):
        return wf.call(f"{style}_{name}", parameters)

    @lucas.workflow
    def linear(wf):
        return call(wf, "total", x=call(wf, "make", n=wf.input()["n"]))

    @lucas.workflow
    def diamond(wf):
        made = call(wf, "make", n=wf.input()["n"])
        return call(wf, "join", left=call(wf, "scale", x=made, by=2), right=call(wf, "scale", x=made, by=3))

    @lucas.workflow
    def fan(wf):
        parts = call(wf, "split", n=wf.input()["n"])
        return call(wf, "gather", sizes=parts.map(lambda part: call(wf, "total", x=part)))

    @lucas.workflow
    def select(wf):
        made = call(wf, "pair", n=wf.input()["n"])
        return call(wf, "join", left=made["a"], right=made["b"][0])

    @lucas.workflow
    def constants(wf):
        return call(wf, "scale", x=wf.input()["n"], by=7)

    @lucas.workflow
    def nested(wf):
        return wf.func(lambda made: call(wf, "total", x=made + 1), call(wf, "make", n=wf.input()["n"]))

    @lucas.workflow
    def none(wf):
        wf.input()["n"]
        return call(wf, "is_none", x=call(wf, "nothing"))

    @lucas.workflow
    def attempts(wf):
        return call(wf, "apart", x=call(wf, "flaky", n=wf.input()["n"]))

    return {
        "linear": linear,
        "diamond": diamond,
        "fan": fan,
        "select": select,
        "constants": constants,
        "nested": nested,
        "none": none,
        "attempts": attempts,
    }


def main(endpoint, cache):
    results = {}
    with storage_context(endpoint=endpoint, cache_dir=Path(cache)):
        for style in ("rt", "names", "dict"):
            for name, body in BODIES.items():
                registered(style, name, body)
            for shape, workflow in shapes(style).items():
                results[f"{shape}-{style}"] = [run(workflow, {"n": n}) for n in (3, 5)]
        results["at-once"] = at_once(shapes("names")["linear"])
        results["default"] = [run(with_default()), run(with_default(), {"n": 4})]
        results["missing"] = refusal(shapes("names")["linear"])
    print(json.dumps({"embedded": lucas.__name__ != "lucas", "results": results}))


def at_once(workflow):
    """Return the results of runs in several threads, in order of their input."""
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(contextvars.copy_context().run, run, workflow, {"n": n}) for n in range(8)]
        return [one.result() for one in runs]


def with_default():
    @lucas.workflow
    def defaulted(wf):
        return wf.call("names_scale", {"x": wf.input().get("n", 2), "by": 10})

    return defaulted


def refusal(workflow):
    try:
        return run(workflow, {"m": 1})
    except TypeError as error:
        return str(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
