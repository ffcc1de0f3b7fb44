from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from lucas_storage.parallel import AT_ONCE, each

setting = ContextVar("setting", default="none")


def test_results_are_in_order_whatever_ends_first():
    second_ended = threading.Event()

    def square(number):
        if number == 1:
            assert second_ended.wait(20)
        if number == 2:
            second_ended.set()
        return number * number

    assert each(square, iter([1, 2, 3])) == [1, 4, 9]
    assert each(square, []) == []


def test_calls_see_the_context_of_the_caller_and_change_a_copy():
    setting.set("caller's")

    def change(number):
        before = setting.get()
        setting.set(number)
        return before

    assert each(change, range(20)) == ["caller's"] * 20
    assert setting.get() == "caller's"


def test_no_more_calls_run_at_once_than_are_said_and_a_single_one_on_this_thread():
    full = threading.Barrier(AT_ONCE)
    running, most, lock = 0, 0, threading.Lock()

    def call(number):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(20)
        with lock:
            running -= 1

    each(call, range(2 * AT_ONCE))

    assert most == AT_ONCE
    assert each(lambda _: threading.current_thread(), [1]) == [threading.current_thread()]


def test_a_failure_is_raised_and_keeps_what_has_not_begun_from_being_called():
    begun, never = [], threading.Event()

    def call(number):
        begun.append(number)
        if number == 0:
            raise LookupError(number)
        # All of them would take a minute: the caller has seen the failure long before, however busy the machine is.
        never.wait(0.05)
        return number

    with pytest.raises(LookupError, match="0"):
        each(call, range(10_000))

    assert len(begun) < 10_000
