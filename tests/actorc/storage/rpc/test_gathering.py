"""Calls that come together travel together; each keeps its own result, error, time limit and cancellation."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from actorc.storage import NetworkError, NotFoundError, StorageError
from actorc.storage._rpc import cancellation
from actorc.storage._rpc.gathering.call_window import CallWindow
from actorc.storage._rpc.gathering.gathering import MOST_CALLS, Gathering
from actorc.storage._rpc.gathering.waiting_call import Failed, Told

LONG = 60.0
"""Seconds that nothing below takes, unless it fails."""


@dataclass
class Asked:
    """A call for tests: `key` is also its result."""

    key: str
    bucket: str = "bucket"
    size: int = 0
    timeout: float | None = None


class Server:
    """Makes calls, remembers which, and holds those for ``held`` until `go`."""

    def __init__(self, *, distinct=False, patience=LONG):
        self.go = threading.Event()
        self.held = threading.Semaphore(0)
        self.alone, self.batches = [], []
        self.answer = lambda calls: [call.key for call in calls]
        self._arrived = threading.Semaphore(0)
        self.gathering = Gathering(
            self._many, usual=LONG, travels=self._travels, least=1, distinct=distinct, patience=patience
        )

    def make(self, call):
        return self.gathering.make(call, self._one)

    def _travels(self):
        self._arrived.release()
        return True

    def _one(self, call):
        if call.key == "held":
            self.held.release()
            assert self.go.wait(LONG)
        self.alone.append(call.key)
        return call.key

    def _many(self, calls, seconds):
        assert 0 < seconds <= LONG
        self.batches.append([call.key for call in calls])
        return self.answer(calls)

    def arrived(self, count):
        """Wait until so many more calls wait for others."""
        for _ in range(count):
            assert self._arrived.acquire(timeout=LONG)
        with self.gathering._lock:
            pass


@pytest.fixture
def served():
    """Return a server on which one call is under way; all end with the test."""
    with ExitStack() as stack:

        def made(**options):
            server = Server(**options)
            server.threads = stack.enter_context(ThreadPoolExecutor(200))
            stack.callback(server.go.set)
            server.first = server.threads.submit(server.make, Asked("held"))
            assert server.held.acquire(timeout=LONG)
            return server

        yield made


def begun(server, *calls):
    """Begin calls one after the other; return their futures once all of them wait."""
    futures = []
    for call in calls:
        futures.append(server.threads.submit(server.make, call))
        server.arrived(1)
    return futures


def results(futures):
    return [future.result(LONG) for future in futures]


def test_a_call_that_comes_alone_goes_alone():
    server = Server()

    assert [server.make(Asked(str(each))) for each in range(3)] == ["0", "1", "2"]
    assert (server.alone, server.batches) == (["0", "1", "2"], [])


def test_calls_that_come_while_one_is_under_way_go_together_once_it_ends(served):
    server = served()
    waiting = begun(server, *(Asked(str(each)) for each in range(15)))
    assert (server.alone, server.batches) == ([], [])
    server.go.set()

    assert (server.first.result(LONG), results(waiting)) == ("held", [str(each) for each in range(15)])
    assert (server.alone, [sorted(batch, key=int) for batch in server.batches]) == (
        ["held"],
        [[str(each) for each in range(15)]],
    )


def test_a_call_waits_for_a_slow_one_no_longer_than_its_patience(served):
    server = served(patience=0.001)
    calls = [server.threads.submit(server.make, Asked(str(each))) for each in range(5)]

    assert results(calls) == ["0", "1", "2", "3", "4"]
    assert not server.first.done()


def test_each_call_has_its_own_result_or_error(served):
    server = served()
    error = NotFoundError("there is none", key="b")
    server.answer = lambda calls: [Failed(error) if call.key == "b" else call.key for call in calls]
    waiting = begun(server, Asked("a"), Asked("b"), Asked("c"))
    server.go.set()

    assert results([waiting[0], waiting[2]]) == ["a", "c"]
    assert waiting[1].exception(LONG) is error


def test_what_has_no_outcome_in_a_batch_goes_alone(served):
    server = served()
    server.answer = lambda calls: ["a", *[Told.ALONE] * (len(calls) - 1)]
    waiting = begun(server, Asked("a"), Asked("b"), Asked("c"))
    server.go.set()

    results(waiting)
    assert len(server.batches) == 1
    assert sorted(server.alone) == sorted(["held", *(key for key in "abc" if key != server.batches[0][0])])


@pytest.mark.parametrize("error", [NetworkError("the server is gone"), KeyboardInterrupt(), ZeroDivisionError()])
def test_if_a_batch_fails_each_call_goes_on_alone(served, error):
    server = served()

    def fail(calls):
        raise error

    server.answer = fail
    waiting = begun(server, *(Asked(str(each)) for each in range(5)))
    server.go.set()
    raised = [future.exception(LONG) for future in waiting]

    # the leader has the error if it is not the batch's but its thread's
    led = [] if isinstance(error, StorageError) else [error]
    assert [each for each in raised if each] == led
    assert len(server.batches) == 1
    assert len(server.alone) == 1 + 5 - len(led)
    assert server.make(Asked("later")) == "later"
    assert server.gathering._under_way == 0


def test_a_call_whose_time_is_over_returns_and_the_others_go_on(served):
    server = served()
    answering, answered = threading.Event(), threading.Event()

    def late(calls):
        answering.set()
        assert answered.wait(LONG)
        return [call.key for call in calls]

    server.answer = late
    short = Asked("short", timeout=0.2)
    waiting = begun(server, short, Asked("a"), Asked("b"))
    server.go.set()
    assert answering.wait(LONG)
    # made alone, which a server would end at once
    assert waiting[0].result(LONG) == "short"
    assert server.alone == ["held", "short"]
    answered.set()

    assert results(waiting[1:]) == ["a", "b"]
    assert server.batches[0][0] == "short"


def test_a_cancelled_call_ends_at_once_and_the_others_go_on(served):
    server = served()
    scope = cancellation.CancelScope()

    def scoped():
        with cancellation.entered(scope):
            return server.make(Asked("cancelled"))

    cancelled = server.threads.submit(scoped)
    server.arrived(1)
    waiting = begun(server, Asked("a"), Asked("b"))
    scope.cancel()
    with pytest.raises(StorageError, match="cancelled"):
        cancelled.result(LONG)
    assert not server.first.done()
    server.go.set()

    assert results(waiting) == ["a", "b"]
    assert server.batches == [["a", "b"]]


def test_a_batch_is_of_one_bucket_and_no_larger_than_its_limits(served):
    server = served()
    half = 600 * 1024
    waiting = begun(
        server,
        *(Asked(f"{each}", size=half) for each in range(3)),
        *(Asked(f"other-{each}", bucket="other") for each in range(MOST_CALLS + 1)),
    )
    server.go.set()
    results(waiting)

    assert all(len({key.partition("-")[0] == "other" for key in batch}) == 1 for batch in server.batches)
    assert max(map(len, server.batches)) == MOST_CALLS
    assert len(server.alone) == 1 + 3 + 1


def test_two_changes_of_one_key_are_in_different_batches(served):
    server = served(distinct=True)
    waiting = begun(server, Asked("a"), Asked("b"), Asked("a"), Asked("b"), Asked("c"))
    server.go.set()
    results(waiting)

    assert [sorted(batch) for batch in server.batches] == [["a", "b", "c"], ["a", "b"]]


def test_a_child_that_is_forked_meanwhile_has_none_of_the_waiting_calls(served):
    server = served()
    waiting = begun(server, Asked("a"), Asked("b"))
    child = os.fork()
    if not child:
        done = False
        try:
            done = server.make(Asked("child")) == "child" and server.alone == ["child"]
        finally:
            os._exit(0 if done and not server.batches else 1)
    assert os.waitpid(child, 0)[1] == 0
    server.go.set()

    assert results(waiting) == ["a", "b"]
    assert server.batches == [["a", "b"]]


def test_an_interrupt_while_waiting_leaves_no_trace(served):
    # an interrupt right before a thread waits ends the wait only at its end: a signal does not wake what does not sleep
    server = served(patience=0.1)
    raised = []

    def interrupt():
        server.arrived(1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    server.threads.submit(interrupt)
    try:
        server.make(Asked("interrupted"))
    except KeyboardInterrupt as error:
        raised.append(error)
    server.gathering._patience = LONG
    waiting = begun(server, Asked("a"), Asked("b"))
    server.go.set()

    assert raised
    assert results(waiting) == ["a", "b"]
    assert server.batches == [["a", "b"]]


def test_a_storm_of_calls_is_answered_each_once():
    server = Server(patience=0.001)
    with ThreadPoolExecutor(32) as threads:
        keys = [str(each) for each in range(3000)]
        assert list(threads.map(lambda key: server.make(Asked(key)), keys)) == keys

    made = [*server.alone, *(key for batch in server.batches for key in batch)]
    assert sorted(made) == sorted(keys)
    assert (server.gathering._under_way, server.gathering._queue) == (0, [])


def test_the_window_opens_while_calls_take_as_long_as_one_alone_and_closes_when_they_wait():
    window = CallWindow(least=1)
    for _ in range(100):
        window.took(0.02, is_full=True)
    assert window.size == 64
    for _ in range(100):
        window.took(0.05, is_full=True)
    assert window.size == 1


def test_a_window_that_nobody_fills_is_not_opened_and_never_closed_beyond_its_least():
    window = CallWindow(least=3)
    for seconds in (0.02, 0.02, 1.0, 1.0, 0.02):
        window.took(seconds, is_full=False)

    assert window.size == 3


def test_a_link_that_became_slower_is_noticed():
    window = CallWindow(least=1)
    window.took(0.001, is_full=True)
    for _ in range(1500):
        window.took(0.02, is_full=True)

    assert window.size > 16
