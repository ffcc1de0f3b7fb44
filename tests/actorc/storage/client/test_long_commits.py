"""What takes a server long once it has all bytes is waited for as long as so many bytes may take, and no longer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import DeadlineExceededError, RetryPolicy
from actorc.storage._rpc.operations import multipart_operations, remote_store
from actorc.storage._rpc.retries import deadline
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server

pytestmark = pytest.mark.slow

MiB = 1 << 20
BIG = bytes(32 * MiB)
PATIENCE = 1.0
"""Seconds without a word from the server."""


class BusyEngine(MemoryEngine):
    """Moves bytes when it is released, and not before."""

    def __init__(self):
        super().__init__()
        self.busy = threading.Event()
        self.released = threading.Event()

    def _wait(self):
        self.busy.set()
        self.released.wait(60)

    def _put(self, bucket, key, *args, **kwargs):
        if key == "slow":
            self._wait()
        return super()._put(bucket, key, *args, **kwargs)

    def head(self, bucket, key):
        if key == "slow":
            self._wait()
        return super().head(bucket, key)

    def complete_upload(self, *args, **kwargs):
        self._wait()
        return super().complete_upload(*args, **kwargs)

    def copy(self, *args, **kwargs):
        self._wait()
        return super().copy(*args, **kwargs)


@pytest.fixture
def engine():
    it = BusyEngine()
    yield it
    it.released.set()


@pytest.fixture
def client(engine):
    once = RetryPolicy(attempts=1)
    with local_server(engine) as server, server.client(timeout=PATIENCE, idle_timeout=PATIENCE, retry=once) as it:
        yield it
        engine.released.set()


@pytest.fixture
def outlasting(client, engine):
    """Return what a call gives that the engine is busy with for longer than anybody is waited for."""

    def outlast(call, *args):
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(call, *args)
            assert engine.busy.wait(20)
            with pytest.raises(DeadlineExceededError):
                client.head_object("bucket", "slow")
            engine.released.set()
            return running.result(timeout=20)

    return outlast


def begun(client, size):
    upload = client.create_multipart_upload("bucket", "key")["upload_id"]
    return upload, client.upload_part("bucket", "key", upload, 1, bytes(size))


def test_a_commit_is_given_the_time_that_its_bytes_may_take(client, outlasting):
    assert outlasting(client.put_object, "bucket", "slow", BIG)["size"] == len(BIG)


def test_a_commit_that_does_not_end_is_given_up(client, monkeypatch):
    monkeypatch.setattr(deadline, "_SLOW", 1 << 60)

    with pytest.raises(DeadlineExceededError, match="said nothing for 1 s"):
        client.put_object("bucket", "slow", bytes(2 * MiB))


def test_a_completion_is_given_the_time_that_its_parts_may_take(client, outlasting, monkeypatch):
    monkeypatch.setattr(multipart_operations, "MOVING_SECONDS", PATIENCE)
    upload, part = begun(client, len(BIG))

    assert outlasting(client.complete_multipart_upload, "bucket", "key", upload, [part])["size"] == len(BIG)


def test_a_completion_that_does_not_end_is_given_up(client, monkeypatch):
    monkeypatch.setattr(multipart_operations, "MOVING_SECONDS", PATIENCE)
    upload, part = begun(client, MiB)
    told = {"part_number": part["part_number"], "etag": part["etag"]}

    with pytest.raises(DeadlineExceededError):
        client.complete_multipart_upload("bucket", "key", upload, [told])


def test_parts_that_a_stream_became_are_joined_in_the_time_they_may_take(client, outlasting, monkeypatch):
    monkeypatch.setattr(multipart_operations, "MOVING_SECONDS", PATIENCE)
    pieces = (BIG[:MiB] for _ in range(32))

    assert outlasting(client.upload_from_stream, "bucket", "key", pieces)["size"] == len(BIG)


def test_a_copy_is_given_time_to_be_made_byte_by_byte(client, outlasting):
    client.put_object("bucket", "source", b"source")

    assert outlasting(client.copy_object, "bucket", "source", "bucket", "copy")["size"] == 6


def test_a_copy_that_does_not_end_is_given_up(client, monkeypatch):
    monkeypatch.setattr(remote_store, "MOVING_SECONDS", PATIENCE)
    client.put_object("bucket", "source", b"source")

    with pytest.raises(DeadlineExceededError):
        client.copy_object("bucket", "source", "bucket", "copy")
