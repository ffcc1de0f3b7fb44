from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import pytest

from actorc.storage._async.thread_pool import Threads


@pytest.fixture
def threads():
    it = Threads(2, "test-threads")
    yield it
    it.close()


def test_no_more_calls_run_at_once_than_there_are_places(threads):
    pair, present, most = threading.Barrier(2), [], []

    def call():
        present.append(1)
        pair.wait(20)
        most.append(len(present))
        pair.wait(20)
        present.pop()

    for job in [threads.submit(call) for _ in range(10)]:
        job.result(20)

    assert max(most) == 2


def test_a_thread_that_waits_lends_its_place(threads):
    def call(depth):
        if depth == 0:
            return ["bottom"]
        with threads.lent():
            return [*threads.submit(lambda: call(depth - 1)).result(20), depth]

    assert threads.submit(lambda: call(9)).result(20) == ["bottom", *range(1, 10)]


def test_a_call_that_has_not_begun_can_be_cancelled(threads):
    begun, gate, ran = threading.Semaphore(0), threading.Event(), []

    def hold():
        begun.release()
        gate.wait(20)

    holding = [threads.submit(hold) for _ in range(2)]
    for _ in holding:
        begun.acquire(timeout=20)
    late = threads.submit(lambda: ran.append(1))

    assert (late.cancel(), holding[0].cancel()) == (True, False)
    gate.set()
    assert threads.submit(lambda: ran).result(20) == []


def test_what_a_call_raises_is_raised_where_its_result_is_asked_for(threads):
    error = SystemExit("mine")

    def call():
        raise error

    with pytest.raises(SystemExit) as caught:
        threads.submit(call).result(20)
    assert caught.value is error


def test_an_idle_thread_keeps_no_result(threads):
    class Result:
        pass

    job = threads.submit(Result)
    result = weakref.ref(job.result(20))
    del job
    threads.submit(int).result(20)
    gc.collect()

    assert result() is None


def test_threads_end_after_the_last_call_once_closed():
    threads = Threads(2, "test-ending")
    threads.submit(int).result(20)
    threads.close()
    ending = [thread for thread in threading.enumerate() if thread.name == "test-ending"]
    for thread in ending:
        thread.join(20)

    assert not any(thread.is_alive() for thread in ending)
    assert threads.submit(int).result(20) == 0


def test_a_thread_that_never_ends_does_not_keep_the_process():
    code = (
        "import threading; from actorc.storage._async.thread_pool import Threads; "
        "Threads(1, 'stuck').submit(threading.Event().wait); print('done')"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)

    assert answer.stdout == "done\n"
