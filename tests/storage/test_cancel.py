from __future__ import annotations

import threading

import pytest

from actorc.storage import StorageError, _cancel


def test_cancelling_ends_what_runs_and_nothing_else():
    scope, ended = _cancel.CancelScope(), []
    with scope.running(lambda: ended.append("over")):
        pass
    with scope.running(lambda: ended.append("first")), scope.running(lambda: ended.append("second")):
        scope.cancel()
        scope.cancel()

    assert ended == ["first", "second"]


def test_what_begins_after_the_cancellation_is_ended_and_refused():
    scope, ended = _cancel.CancelScope(), []
    scope.cancel()
    with pytest.raises(StorageError, match="cancelled"), scope.running(lambda: ended.append(1)):
        raise AssertionError

    assert ended == [1]


def test_a_pause_ends_with_the_scope():
    scope = _cancel.CancelScope()
    with _cancel.entered(scope):
        threading.Thread(target=scope.cancel).start()
        with pytest.raises(StorageError, match="cancelled"):
            _cancel.sleep(1000)


def test_what_cleans_up_is_shielded():
    scope, done = _cancel.CancelScope(), []
    scope.cancel()
    with _cancel.entered(scope), _cancel.entered(None), _cancel.running(lambda: done.append("ended")):
        done.append("ran")

    assert done == ["ran"]
    assert not _cancel.is_possible()
