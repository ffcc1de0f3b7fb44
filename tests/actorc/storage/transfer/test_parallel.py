from __future__ import annotations

import threading

import pytest

from actorc.storage import StorageError
from actorc.storage._rpc import cancellation
from actorc.storage._transfer.task_group import TaskGroup


def ours():
    return [thread for thread in threading.enumerate() if thread.name == "storage-part"]


def test_all_results_arrive_and_progress_is_told_on_one_thread():
    told, threads = [], set()

    def moved(count):
        told.append(count)
        threads.add(threading.current_thread())

    def task(number):
        def run(report):
            report.moved(number)
            return number * number

        return run

    with TaskGroup(moved) as group:
        for number in range(1, 21):
            group.start(task(number))
            group.wait_for(3)
        results = group.results()

    assert sorted(results) == [number * number for number in range(1, 21)]
    assert (sorted(told), threads) == (list(range(1, 21)), {threading.current_thread()})


def test_bytes_that_come_fast_are_told_together_and_all_of_them_before_the_task_has_handed_over():
    told, at_the_end = [], []

    def run(report):
        for _ in range(5000):
            report.moved(1)
        report.handed_over()
        for _ in range(5000):
            report.moved(1)

    with TaskGroup(told.append) as group:
        group.start(run)
        while not group.room:
            group.wait()
        at_the_end.append(sum(told))
        group.wait_for(0)

    assert at_the_end[0] in (5000, 10000)  # the queue is emptied at once, of what came meanwhile, too
    assert sum(told) == 10000
    assert len(told) < 5000


def test_no_more_tasks_run_than_asked_for():
    running, most, lock = set(), [], threading.Lock()

    def task(_):
        with lock:
            running.add(threading.get_ident())
            most.append(len(running))
        with lock:
            running.discard(threading.get_ident())

    with TaskGroup(lambda _: None) as group:
        for _ in range(50):
            group.start(task)
            group.wait_for(2)
        group.results()

    assert max(most) <= 3


def test_a_task_that_awaits_its_answer_leaves_room_for_another():
    answered = threading.Event()

    def sends(report):
        report.handed_over()
        answered.wait(10)

    with TaskGroup(lambda _: None) as group:
        group.start(sends)
        group.wait_for_room()
        running = group.running
        answered.set()
        group.results()

    assert running == 1


def run(*tasks, moved=lambda _: None):
    with TaskGroup(moved) as group:
        for task in tasks:
            group.start(task)
        return group.results()


def waits_for_cancellation(_):
    cancellation.sleep(1000)


def fails(_):
    raise LookupError("first")


def test_the_first_failure_ends_the_others_and_comes_out():
    with pytest.raises(LookupError, match="first"):
        run(waits_for_cancellation, waits_for_cancellation, fails)

    assert ours() == []


def test_an_exception_in_the_block_ends_the_tasks():
    def interrupted():
        with TaskGroup(lambda _: None) as group:
            group.start(waits_for_cancellation)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ours() == []


def test_an_exception_of_the_callback_ends_the_tasks():
    def moved(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(waits_for_cancellation, lambda report: report.moved(1), moved=moved)

    assert ours() == []


def test_a_group_ends_with_the_scope_it_is_in():
    scope = cancellation.CancelScope()
    with cancellation.entered(scope), TaskGroup(lambda _: None) as group:
        group.start(waits_for_cancellation)
        scope.cancel()
        with pytest.raises(StorageError, match="cancelled"):
            group.results()

    assert ours() == []
