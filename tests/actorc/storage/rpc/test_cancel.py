from __future__ import annotations

import threading

import pytest

from actorc.storage import StorageError
from actorc.storage._rpc import cancellation


def test_cancelling_ends_what_runs_and_nothing_else():
    scope, ended = cancellation.CancelScope(), []
    with scope.running(lambda: ended.append("over")):
        pass
    with scope.running(lambda: ended.append("first")), scope.running(lambda: ended.append("second")):
        scope.cancel()
        scope.cancel()

    assert ended == ["first", "second"]


def test_what_begins_after_the_cancellation_is_ended_and_refused():
    scope, ended = cancellation.CancelScope(), []
    scope.cancel()
    with pytest.raises(StorageError, match="cancelled"), scope.running(lambda: ended.append(1)):
        raise AssertionError

    assert ended == [1]


def test_a_pause_ends_with_the_scope():
    scope = cancellation.CancelScope()
    with cancellation.entered(scope):
        threading.Thread(target=scope.cancel).start()
        with pytest.raises(StorageError, match="cancelled"):
            cancellation.sleep(1000)


def test_what_cleans_up_is_shielded():
    scope, done = cancellation.CancelScope(), []
    scope.cancel()
    with cancellation.entered(scope), cancellation.entered(None), cancellation.running(lambda: done.append("ended")):
        done.append("ran")

    assert done == ["ran"]
    assert not cancellation.is_possible()
