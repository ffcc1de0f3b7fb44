"""Fan-out and fan-in: the Mandelbrot set, computed in strips by steps that run side by side, put together at the end.

Each strip is a numpy array that travels as a reference. Its pixels, counted, give the area of the set.

lucas-storage run examples/fan_out.py
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from lucas import Workflow, function, workflow

from lucas_storage import run, with_storage

LEFT, RIGHT, BOTTOM, TOP = -2.0, 0.5, -1.25, 1.25
SIZE, ROUNDS = 800, 250


@function
@with_storage
def cut(count: int) -> list[list[float]]:  # small plain data travels as it is
    edges = np.linspace(BOTTOM, TOP, count + 1).tolist()
    return [[low, high, SIZE // count] for low, high in pairwise(edges)]


@function
@with_storage
def escape(strip: list[float]) -> np.ndarray:
    """Return for each point how many rounds it stays within the circle of radius 2."""
    low, high, rows = strip
    point = np.linspace(LEFT, RIGHT, SIZE) + 1j * np.linspace(low, high, rows, endpoint=False)[:, None]
    z, stayed = np.zeros_like(point), np.zeros(point.shape, dtype=np.uint8)
    for _ in range(ROUNDS):
        inside = np.abs(z) <= 2
        stayed += inside
        z = np.where(inside, z * z + point, z)
    return stayed


@function
@with_storage
def join(arrays: list[np.ndarray]) -> np.ndarray:  # a list of references arrives as a list of arrays
    return np.concatenate(arrays)


@workflow
def mandelbrot(wf: Workflow):
    strips = wf.call("cut", {"count": wf.input()["count"]})
    arrays = strips.map(lambda strip: wf.call("escape", {"strip": strip}))
    return wf.call("join", {"arrays": arrays})


picture = run(mandelbrot, {"count": 8})
for row in picture[:: SIZE // 24]:
    print("".join(" .:-=+*#%@"[min(int(rounds) // 2, 9)] for rounds in row[:: SIZE // 66]))
pixel = (RIGHT - LEFT) * (TOP - BOTTOM) / picture.size
print(f"{picture.shape} points, area {(picture == ROUNDS).sum() * pixel:.3f} (known: 1.507)")
