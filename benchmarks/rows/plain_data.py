"""Plain data: encoded and decoded, between two steps, and in a chain of steps that each add to a list.

Expected: encoding and decoding of a million ints and of a thousand lists of a thousand floats take at most half the CPU
time of `json.dumps` and `json.loads`, and of a hundred thousand dicts, each of which has to be made, three quarters.
With two steps around them, between which the value is hashed and stored durably, at most 1.5 times it. Thirty lists of
100 000 ints that are added one by one, the benchmark ``concat`` of Lucas, take at most six times the CPU time of the
same functions without storage on the embedded engine, and at most 1.2 times on genuine Lucas, which writes every value
into its log; that where LUCAS_SRC names a checkout.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import Arm, Case, Cpu
from lucas_storage import embedded, run, storage_context, with_storage
from lucas_storage.formats import MemorySource, encode_data

ROUNDS = 2
SIZE, LISTS = 100_000, 30
JSON = "json.dumps and json.loads"


def _random_floats():
    numbers = random.Random(1)
    return [[numbers.random() for _ in range(1000)] for _ in range(1000)]


def _rows():
    return [
        {"id": number, "name": f"n{number}", "x": number / 7, "ok": True, "none": None} for number in range(100_000)
    ]


DATA = {
    "1 M ints": (lambda: list(range(1_000_000)), 0.5),
    "1000 x 1000 floats": (_random_floats, 0.5),
    "100 k dicts of 5": (_rows, 0.75),
}


def cases(setting):
    with (
        tempfile.TemporaryDirectory() as cache,
        storage_context(endpoint=setting.server.endpoint, cache_dir=cache),
    ):
        for name, (make, most) in DATA.items():
            yield from _both_ways(setting, name, make(), most)
        yield _concat("embedded engine", *_on_embedded(), 6)
        if os.environ.get("LUCAS_SRC"):
            yield _concat("genuine Lucas", *_on_genuine(setting.server.endpoint, cache), 1.2)


def _both_ways(setting, name, value, most):
    base = Arm(JSON, lambda _: json.loads(json.dumps(value)))
    coded = Arm("encode_data and decode", lambda _: _decoded(value), target=Cpu(most, (JSON,)))
    yield Case(f"{name}, encoded and decoded", [coded, base], rounds=ROUNDS)
    flow = _two_steps(value)
    steps = Arm("two steps", lambda _: run(flow), setting.server.pids, target=Cpu(1.5, (JSON,)))
    yield Case(f"{name}, from step to step", [steps, base], rounds=ROUNDS)


def _decoded(value):
    fmt, encoded = encode_data(value)
    return fmt.decode(MemorySource(bytes(encoded)), None)


def _two_steps(value):
    # Under the same names each time; the engine runs what was registered first under a name.
    embedded.routeBuilder.funcs.clear()
    embedded.function(name="made")(with_storage(lambda: value))
    embedded.function(name="counted")(with_storage(count))

    @embedded.workflow
    def steps(wf):
        return wf.call("counted", {"data": wf.call("made", {})})

    return steps


def count(data: list) -> int:
    return len(data)


def generate(size: int) -> list:
    return list(range(size))


def merge(a: list, b: list) -> list:
    return a + b


def _flow(lucas, prefix, wrap):
    for body in (generate, merge):
        lucas.function(name=f"{prefix}_{body.__name__}")(wrap(body))

    @lucas.workflow
    def concat(wf):
        lists = [wf.call(f"{prefix}_generate", {"size": SIZE}) for _ in range(LISTS)]
        total = lists[0]
        for one in lists[1:]:
            total = wf.call(f"{prefix}_merge", {"a": total, "b": one})
        return total

    return concat


def _of_runtime(body):
    return lambda rt: body(**rt.input())


def _on_embedded():
    plain, stored = _flow(embedded, "plain", _of_runtime), _flow(embedded, "stored", with_storage)
    return lambda _: run(plain), lambda _: run(stored)


def _on_genuine(endpoint, cache):
    """Return both on genuine Lucas with its own executor, each call in a process of its own."""
    paths = os.pathsep.join([os.environ["LUCAS_SRC"], str(Path(__file__).resolve().parents[2])])
    variables = {**os.environ, "PYTHONPATH": paths, "STORAGE_ENDPOINT": endpoint, "LUCAS_STORAGE_CACHE": cache}

    def started(kind):
        command = [sys.executable, "-m", "benchmarks.rows.plain_data", kind]
        # Lucas logs every value on standard error
        return lambda _: subprocess.run(command, env=variables, stderr=subprocess.DEVNULL, check=True)

    return started("plain"), started("stored")


def _concat(where, base, own, most):
    without = "the same without storage"
    arms = [Arm("steps with storage", own, target=Cpu(most, (without,))), Arm(without, base)]
    return Case(f"{LISTS} lists of {SIZE} ints added, {where}", arms, rounds=ROUNDS)


if __name__ == "__main__":
    import lucas

    flow = _flow(lucas, sys.argv[1], with_storage if sys.argv[1] == "stored" else _of_runtime)
    flow.export()({})
