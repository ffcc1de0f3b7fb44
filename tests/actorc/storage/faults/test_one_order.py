"""What several processes see of one object could have happened in one order."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.storage import StorageClient
from benchmarks.soak.linearizability import Operation, violation

CALLER = """
import json, sys, time
from actorc.storage import StorageClient

endpoint, name, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
with StorageClient(endpoint) as client:
    client.server_info()
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(calls):
        start = time.monotonic()
        if is_write := (number + len(name)) % 3 == 0:
            value = f"{name} {number}"
            client.put_object("bucket", "register", value.encode().ljust(20_000 * (number % 2)))
        else:
            value = client.get_object("bucket", "register").decode().strip()
        print(json.dumps([value, is_write, start, time.monotonic()]))
"""


def write(value, start, finish=math.inf):
    return Operation(value=value, is_write=True, start=start, finish=finish)


def read(value, start, finish):
    return Operation(value=value, is_write=False, start=start, finish=finish)


@pytest.mark.thorough
@pytest.mark.parametrize("workers", [1, 2])
def test_processes_agree_on_one_order_of_what_happened_to_an_object(serve_process, thorough, workers):
    endpoint = serve_process("--workers", str(workers)).endpoint
    with StorageClient(endpoint) as client:
        client.put_object("bucket", "register", b"first")
    arguments = [endpoint, "{}", "300" if thorough else "60"]
    callers = [
        subprocess.Popen(
            [sys.executable, "-c", CALLER, *(each.format("x" * number) for each in arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(1, 5)
    ]
    for caller in callers:
        assert caller.stdout.readline() == "ready\n"
    for caller in callers:
        caller.stdin.write("go\n")
        caller.stdin.flush()
    history = [write("first", -math.inf, -math.inf)]
    for caller in callers:
        for line in caller.communicate()[0].splitlines():
            value, is_write, start, finish = json.loads(line)
            history.append(Operation(value=value, is_write=is_write, start=start, finish=finish))

    assert len(history) == 1 + 4 * int(arguments[2])
    assert violation(history) is None


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)], id="a value that was replaced"),
        pytest.param([write("a", 0, 1), write("b", 2, 9), read("b", 3, 4), read("a", 5, 6)], id="back and forth"),
        pytest.param([write("a", 2, 3), read("a", 0, 1)], id="a value before it was written"),
        pytest.param([read("a", 0, 1)], id="a value nobody wrote"),
    ],
)
def test_a_history_without_an_order_is_told(history):
    assert violation(history)


def test_a_write_of_unknown_outcome_may_happen_late_or_never():
    assert violation([write("a", 0, 1), write("lost", 2), read("a", 3, 4), read("lost", 5, 6)]) is None
    assert violation([write("a", 0, 1), write("lost", 2), read("a", 3, 4)]) is None


def has_an_order(history):
    """Try all of them."""
    for order in permutations(history):
        present, sound = None, True
        for place, operation in enumerate(order):
            sound &= all(operation.start <= later.finish for later in order[place + 1 :]) and (
                operation.is_write or operation.value == present
            )
            sound &= not any(later.finish < operation.start for later in order[place + 1 :])
            present = operation.value if operation.is_write else present
        if sound:
            return True
    return False


@st.composite
def histories(draw):
    times = draw(st.permutations(range(12)))
    pairs = [sorted(times[at : at + 2]) for at in range(0, 12, 2)][: draw(st.integers(1, 6))]
    writers = draw(st.integers(1, len(pairs)))
    written = [write(str(number), *pairs[number]) for number in range(writers)]
    return written + [read(str(draw(st.integers(0, writers - 1))), *pair) for pair in pairs[writers:]]


@given(histories())
def test_the_verdict_is_that_of_trying_every_order(history):
    assert (violation(history) is None) == has_an_order(history)
