from __future__ import annotations

import os
import threading

import pytest

from actorc.storage._wire.idle import IdleWatch


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return IdleWatch(clock)  # its thread sleeps for longer than a test takes


def test_what_stands_still_is_ended_once(watch, clock):
    ended = []

    with watch.guard(5, lambda: ended.append(clock.now)) as guard:
        clock.now += 5
        watch.sweep()
        clock.now += 50
        watch.sweep()

    assert ended == [105.0]
    assert guard.expired


def test_progress_counts_anew(watch, clock):
    ended = []

    with watch.guard(5, lambda: ended.append(clock.now)) as guard:
        clock.now += 4
        guard.progress()
        clock.now += 4
        watch.sweep()

    assert ended == []


def test_a_pause_is_not_counted_and_what_follows_is(watch, clock):
    ended = []

    with watch.guard(5, lambda: ended.append(clock.now)) as guard:
        guard.pause()
        clock.now += 100
        watch.sweep()
        guard.progress()
        clock.now += 5
        watch.sweep()

    assert ended == [205.0]


def test_what_ended_in_time_is_left_alone(watch, clock):
    ended = []
    with watch.guard(5, lambda: ended.append(clock.now)):
        pass

    clock.now += 10
    watch.sweep()

    assert ended == []


def test_an_error_of_one_does_not_keep_another_waiting(watch, clock, caplog):
    ended = []

    def fail():
        raise RuntimeError("broken")

    with watch.guard(5, fail), watch.guard(5, lambda: ended.append(clock.now)):
        clock.now += 5
        watch.sweep()

    assert ended == [105.0]
    assert "broken" in caplog.text


def test_the_thread_ends_it_by_itself():
    watch = IdleWatch()
    ended = threading.Event()

    with watch.guard(0.01, ended.set):
        assert ended.wait(20)


def test_a_shorter_guard_wakes_the_thread_that_sleeps_for_a_longer_one():
    watch = IdleWatch()
    ended = threading.Event()

    with watch.guard(1000, lambda: None), watch.guard(0.01, ended.set):
        assert ended.wait(20)


def test_a_pause_that_ends_while_the_thread_sleeps_is_noticed():
    watch = IdleWatch()
    ended = threading.Event()

    with watch.guard(0.02, ended.set) as guard:
        guard.pause()
        assert not ended.wait(0.05)
        guard.progress()
        assert ended.wait(20)


def test_one_thread_watches_any_number_of_guards():
    watch = IdleWatch()
    before = threading.active_count()

    for _ in range(100):
        with watch.guard(1000, lambda: None), watch.guard(1000, lambda: None):
            pass

    assert before + 1 == threading.active_count()


@pytest.mark.forks
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_watched_too():
    watch = IdleWatch()
    with watch.guard(1000, lambda: None), watch._lock:
        child = os.fork()
        if not child:
            ended = threading.Event()
            with watch.guard(0.01, ended.set):
                os._exit(0 if ended.wait(20) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
