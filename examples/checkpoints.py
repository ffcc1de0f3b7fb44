"""Training that goes on where it stopped: the step saves its state, and the next attempt of the same step finds it.

lucas-storage run examples/checkpoints.py
"""

from __future__ import annotations

import numpy as np
from lucas import Workflow, function, workflow

from lucas_storage import Storage, run, with_storage

ROWS, COLUMNS, EPOCHS = 20_000, 30, 40
power_cut_at = [25]


@function
@with_storage
def measure(rows: int) -> dict[str, np.ndarray]:  # two arrays, two references
    numbers = np.random.default_rng(7)
    x = numbers.normal(size=(rows, COLUMNS))
    return {"x": x, "y": x @ numbers.normal(size=COLUMNS) + numbers.logistic(size=rows) > 0}


@function
@with_storage(version="1")  # without one, everything the function reads would count, the power cut included
def train(data: dict[str, np.ndarray], epochs: int, storage: Storage) -> dict:
    checkpoint = storage.checkpoint()  # known by this function and these inputs
    state = checkpoint.load(default={"epoch": 0, "weights": np.zeros(COLUMNS)})
    print(f"training starts at epoch {state['epoch']}")
    for epoch in range(state["epoch"], epochs):
        if [epoch] == power_cut_at:
            power_cut_at.clear()
            raise OSError(f"power cut in epoch {epoch}")
        error = data["y"] - 1 / (1 + np.exp(-data["x"] @ state["weights"]))
        state = {"epoch": epoch + 1, "weights": state["weights"] + data["x"].T @ error / len(error)}
        checkpoint.save(state)  # whole or not at all
    checkpoint.clear()
    return {"accuracy": float(np.mean((data["x"] @ state["weights"] > 0) == data["y"])), **state}


@workflow
def learning(wf: Workflow):
    data = wf.call("measure", {"rows": wf.input()["rows"]})
    return wf.call("train", {"data": data, "epochs": EPOCHS})


try:
    run(learning, {"rows": ROWS})
except OSError as error:
    print(error)
model = run(learning, {"rows": ROWS})
print(f"{model['epoch']} epochs, accuracy {model['accuracy']:.3f}, {len(model['weights'])} weights")
