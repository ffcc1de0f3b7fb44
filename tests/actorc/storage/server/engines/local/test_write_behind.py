"""Bytes that reach the disk while the next ones are received: order, errors and what may still change."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import ResourceExhaustedError
from actorc.storage.models import ObjectAttributes
from actorc.storage.rules import MiB

FRAMES = [bytes([number]) * MiB for number in range(1, 7)]


def writing():
    return [thread for thread in threading.enumerate() if thread.name == "storage-write"]


@pytest.fixture
def slow(disk):
    """The real disk, whose writes wait, and can fail."""

    class Slow(type(disk)):
        def __init__(self):
            self.go = threading.Event()
            self.begun = threading.Semaphore(0)
            self.threads = []
            self.failing = -1

        def write(self, descriptor, data, offset):
            self.threads.append(threading.current_thread())
            if threading.current_thread() is not threading.main_thread():
                self.begun.release()
                self.go.wait(20)
            if offset == self.failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().write(descriptor, data, offset)

    return Slow()


@pytest.fixture
def engine(open_local, slow):
    engine = open_local(fsops=slow)
    engine.create_bucket("bucket")
    return engine


def begun(engine, frames):
    writer = engine.writer("bucket", "key", declared_size=len(FRAMES) * MiB)
    for frame in frames:
        writer.write(frame, crc32c(frame))
    return writer


def test_frames_are_taken_while_the_disk_still_writes_an_earlier_one(engine, slow, get):
    writer = begun(engine, FRAMES[:4])
    assert slow.begun.acquire(timeout=20)
    assert writer.size == 4 * MiB
    slow.go.set()
    for frame in FRAMES[4:]:
        writer.write(frame, crc32c(frame))
    writer.commit(ObjectAttributes())

    assert get(engine, "key") == b"".join(FRAMES)
    assert len({*slow.threads} - {threading.current_thread()}) == 1
    assert writing() == []


def test_bytes_that_their_owner_may_change_are_written_before_the_call_returns(engine, slow, get):
    writer = begun(engine, FRAMES[:1])
    reused = bytearray(FRAMES[1])
    writer.write(memoryview(reused), crc32c(reused))
    reused[:] = bytes(MiB)
    slow.go.set()
    writer.commit(ObjectAttributes())

    assert get(engine, "key") == FRAMES[0] + FRAMES[1]


def test_a_failed_write_is_the_error_of_the_commit_and_nothing_is_left(engine, slow, tmp_path):
    slow.failing = 2 * MiB
    writer = begun(engine, FRAMES[:3])
    slow.go.set()
    with pytest.raises(ResourceExhaustedError):
        writer.commit(ObjectAttributes())

    assert list((tmp_path / "data" / "staging").iterdir()) == []
    assert writing() == []


def test_an_aborted_upload_leaves_neither_its_file_nor_its_thread(engine, slow, tmp_path):
    writer = begun(engine, FRAMES[:4])
    assert slow.begun.acquire(timeout=20)
    threading.Timer(0, slow.go.set).start()
    writer.abort()

    assert list((tmp_path / "data" / "staging").iterdir()) == []
    assert writing() == []
