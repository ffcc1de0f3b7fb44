from __future__ import annotations

import gc
import os
import threading
import weakref

import pytest

from actorc.fork_hooks import ForkSafeLock, in_child

pytestmark = [pytest.mark.forks, pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]


class Owner:
    """Remembers what was done to it."""

    def __init__(self, log):
        self.log = log

    def reset(self):
        self.log.append(self)


def in_forked_child(check):
    """Return whether `check` is true in a child."""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_owners_are_reset_in_a_child_in_order_and_not_in_the_parent():
    log = []
    owners = [Owner(log) for _ in range(3)]
    for owner in owners:
        in_child(owner, Owner.reset)

    assert in_forked_child(lambda: log == owners)
    assert log == []


def test_an_owner_is_not_kept_alive_by_its_reset():
    log = []
    kept, dropped = Owner(log), Owner(log)
    gone = weakref.ref(dropped)
    for owner in (kept, dropped):
        in_child(owner, Owner.reset)

    del owner, dropped
    gc.collect()

    assert gone() is None
    assert in_forked_child(lambda: log == [kept])


def test_a_lock_that_another_thread_holds_is_free_in_a_child():
    lock, held, end = ForkSafeLock(), threading.Event(), threading.Event()

    def hold():
        with lock.held():
            held.set()
            end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    assert in_forked_child(lambda: lock.held().acquire(timeout=5))
    assert not lock.held().acquire(blocking=False)
    end.set()
    thread.join()


def test_a_block_during_which_its_own_thread_forks_ends_in_both_processes():
    lock = ForkSafeLock()

    def ends():
        entered.__exit__(None, None, None)
        return lock.held().acquire(blocking=False)

    with lock.held() as _:
        entered = lock.held()
        assert in_forked_child(ends)
    with lock.held():
        pass


def test_a_reentrant_lock_stays_one():
    lock = ForkSafeLock(threading.RLock)

    with lock.held(), lock.held():
        assert in_forked_child(lambda: lock.held().__enter__() and lock.held().__enter__())
