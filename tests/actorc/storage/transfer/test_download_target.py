"""How a finished download takes the place of another file."""

from __future__ import annotations

import os
import threading

import pytest

from actorc.storage._transfer import download_target

MiB = 1 << 20


@pytest.fixture
def closings(monkeypatch):
    """The threads that close descriptors of files without a name."""
    threads, closed = [], threading.Event()
    close = os.close

    def noting(descriptor):
        gone = os.fstat(descriptor).st_nlink == 0
        close(descriptor)
        if gone:
            threads.append(threading.current_thread())
            closed.set()

    monkeypatch.setattr(os, "close", noting)
    return threads, closed


def test_the_room_of_a_large_file_that_is_replaced_is_given_back_on_another_thread(tmp_path, closings):
    threads, closed = closings
    target, new = tmp_path / "target", tmp_path / "new"
    target.write_bytes(bytes(17 * MiB))
    target.chmod(0o640)
    new.write_bytes(b"new")

    download_target.publish(new, target, overwrite=True)

    assert closed.wait(30)
    assert threading.current_thread() not in threads
    assert (target.read_bytes(), target.stat().st_mode & 0o777, new.exists()) == (b"new", 0o640, False)


@pytest.mark.parametrize("before", [None, b"", b"small"])
def test_a_small_file_or_none_is_replaced_at_once(tmp_path, closings, before):
    target, new = tmp_path / "target", tmp_path / "new"
    if before is not None:
        target.write_bytes(before)
    new.write_bytes(b"new")

    download_target.publish(new, target, overwrite=True)

    assert (target.read_bytes(), new.exists(), closings[0]) == (b"new", False, [])


def test_a_large_file_that_cannot_be_replaced_stays(tmp_path, closings):
    target = tmp_path / "target"
    target.write_bytes(bytes(17 * MiB))

    with pytest.raises(FileNotFoundError):
        download_target.publish(tmp_path / "lost", target, overwrite=True)

    assert target.stat().st_size == 17 * MiB
