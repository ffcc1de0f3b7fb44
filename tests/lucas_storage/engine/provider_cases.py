"""Workflows on providers of one's own, given with `wrapper`, on the engine that `lucas` is; prints results as JSON.

python provider_cases.py ENDPOINT CACHE_DIRECTORY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cloudpickle
import numpy as np

from lucas_storage import StorageExecutor, run, storage_context, with_storage
from lucas_storage.embedded import install

install()

import lucas  # noqa: E402  # there only now, if it is the embedded engine

BIG = 50_000
crossed = []
"""The size of everything that crossed an edge of the platform at hand."""


class Runtime:
    """What a platform of the knative kind hands over: its input came as JSON."""

    def __init__(self, text):
        self._text = text

    def input(self):
        return json.loads(self._text)

    def output(self, value):
        return value

    def call(self, name, parameters):
        raise NotImplementedError


def crossing(text):
    crossed.append(len(text))
    return text


class OneDict(lucas.Function):
    """Calls ``fn(dict)``."""

    def _transformfunction(self, fn):
        return fn


class OverJson(lucas.Function):
    """Calls ``fn(rt)``; what goes in and what comes out is JSON."""

    def _transformfunction(self, fn):
        return lambda data: json.loads(crossing(json.dumps(fn(Runtime(crossing(json.dumps(data)))))))


class Shipped(lucas.Function):
    """Calls ``fn(**params)`` with a function that was shipped; what goes in and what comes out is pickled."""

    def _transformfunction(self, fn):
        shipped = cloudpickle.dumps(fn)

        def call(data):
            given = cloudpickle.loads(crossing(cloudpickle.dumps(data)))
            return cloudpickle.loads(crossing(cloudpickle.dumps(cloudpickle.loads(shipped)(**given))))

        return call


def make(n: int) -> np.ndarray:
    return np.full(BIG, n)


def halves(x: np.ndarray) -> dict[str, bytes]:
    return {"low": x[: BIG // 2].tobytes(), "high": x[BIG // 2 :].tobytes()}


def length(data: bytes) -> int:
    return len(data)


def nothing() -> None:
    return None


def is_none(x):
    return x is None


BODIES = (make, halves, length, nothing, is_none)


def workflows(kind, wrapper):
    for body in BODIES:
        lucas.function(name=f"{kind}_{body.__name__}", provider=kind, wrapper=wrapper)(with_storage(body))

    @lucas.workflow
    def bytes_of_a_part(wf):
        made = wf.call(f"{kind}_make", {"n": wf.input()["n"]})
        return wf.call(f"{kind}_length", {"data": wf.call(f"{kind}_halves", {"x": made})["low"]})

    @lucas.workflow(executor=StorageExecutor)
    def array(wf):
        return wf.call(f"{kind}_make", {"n": wf.input()["n"]})

    @lucas.workflow
    def none(wf):
        wf.input()["n"]
        return wf.call(f"{kind}_is_none", {"x": wf.call(f"{kind}_nothing", {})})

    @lucas.workflow
    def changed(wf):
        made = wf.call(f"{kind}_make", {"n": wf.input()["n"]})
        return wf.func(lambda x: wf.call(f"{kind}_halves", {"x": x + 1})["high"], made)

    return bytes_of_a_part, array, none, changed


def main(endpoint, cache):
    results, exported = {}, []
    with storage_context(endpoint=endpoint, cache_dir=Path(cache)):
        for kind, wrapper in (("dict", OneDict), ("json", OverJson), ("shipped", Shipped)):
            part, array, none, changed = workflows(kind, wrapper)
            results[kind] = [
                run(part, {"n": 1}),
                [int(run(array, {"n": n}).sum()) for n in (1, 2)],
                run(none, {"n": 0}),
                run(changed, {"n": 1}) == np.full(BIG // 2, 2).tobytes(),
            ]
            exported += [int(array.export()({"n": n}).sum()) for n in (1, 2)]
    said = {"embedded": lucas.__name__ != "lucas", "results": results, "exported": exported, "largest": max(crossed)}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
