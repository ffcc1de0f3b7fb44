"""The three ways in which engines call functions: a decorated one is right with all, and may be written for any.

lucas-storage run examples/calling_conventions.py
"""

from __future__ import annotations

import numpy as np
from lucas import Runtime, Workflow, function, workflow

from lucas_storage import run, with_storage


@with_storage
def mean(values: np.ndarray, scale: float = 1.0) -> float:
    """Name the inputs: the way to write functions that run on every engine."""
    return float(values.mean() * scale)


function(mean)  # the same as @function above it, but `mean` stays what can be called directly


@function
@with_storage
def mean_from_runtime(rt: Runtime) -> float:
    """Take the runtime of Lucas: its input holds values in place of references, and `rt.storage` lasts."""
    given = rt.input()
    rt.storage.put("scale", given["scale"])
    return rt.output(float(given["values"].mean() * rt.storage.get("scale")))


@function
@with_storage
def mean_from_dict(params: dict) -> float:
    """Take everything as one dict, as functions for ignis do."""
    return float(params["values"].mean() * params["scale"])


@function
@with_storage
def collect(by_name: float, from_runtime: float, from_dict: float) -> list[float]:
    return [by_name, from_runtime, from_dict]


@workflow
def three_functions(wf: Workflow):
    inputs = {"values": wf.input()["values"], "scale": wf.input()["scale"]}
    functions = {"by_name": "mean", "from_runtime": "mean_from_runtime", "from_dict": "mean_from_dict"}
    return wf.call("collect", {param: wf.call(name, inputs) for param, name in functions.items()})


values = np.arange(100_001.0)
print(f"three functions, one workflow: {run(three_functions, {'values': values, 'scale': 2.0})}")
print(f"one function, by keywords:     {mean(values=values, scale=2.0)}")
print(f"one function, by one dict:     {mean({'values': values, 'scale': 2.0})}")
