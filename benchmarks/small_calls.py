"""Put and get of 4 KiB, durable, from one thread and from sixteen, beside a bare gRPC call."""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from actorc.storage import StorageClient

from .bare_grpc import bare_server
from .harness import Row, storage_server

DATA = os.urandom(4096)
CALLS = 100
ROUNDS = 9
THREADS = 16


def measure():
    with storage_server() as server, bare_server() as bare, StorageClient(server.endpoint) as client:
        echo = bare.unary_unary("/bare/Echo")
        actions = {
            "put": lambda number: client.put_object("bench", f"key-{number}", DATA),
            "get": lambda number: client.get_object("bench", f"key-{number}"),
        }
        for action in (*actions.values(), lambda _: echo(DATA)):
            _latency(action)
        for name, action in actions.items():
            ours, baseline = _in_turns(_latency, action, lambda _: echo(DATA))
            ratio = ours / baseline
            yield Row(
                f"{name} 4 KiB, one thread, median",
                f"{ours * 1000:.2f} ms",
                f"{baseline * 1000:.2f} ms bare call",
                f"{ratio:.2f}",
                "≤ 2",
                ratio <= 2,
            )
            ours, baseline = _in_turns(_rate, action, lambda _: echo(DATA))
            ratio = ours / baseline
            yield Row(
                f"{name} 4 KiB, {THREADS} threads, rate",
                f"{ours:.0f}/s",
                f"{baseline:.0f}/s bare calls",
                f"{ratio:.2f}",
                "≥ 0.6",
                ratio >= 0.6,
            )


def _in_turns(measured, *actions):
    """Return the median of what is measured of each action, in turns so that drift hits all alike."""
    rounds = [[measured(action) for action in actions] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def _latency(action):
    samples = []
    for number in range(CALLS):
        began = time.perf_counter()
        action(number)
        samples.append(time.perf_counter() - began)
    return statistics.median(samples)


def _rate(action):
    with ThreadPoolExecutor(THREADS) as threads:
        began = time.perf_counter()
        list(threads.map(action, range(CALLS)))
        return CALLS / (time.perf_counter() - began)
