"""A gateway of our own is killed or stands still: it holds nothing that could be lost."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import NetworkError, ObjectNotFoundError, RetryPolicy
from actorc.storage.rules import MiB
from tests.standstill import stand_still

PATIENCE = 60
PERSISTENT = RetryPolicy(attempts=1000, unreached_attempts=1000, cap=0.2)

pytestmark = pytest.mark.slow


def test_clients_go_on_where_a_killed_gateway_is_started_again(start_gateway, gateway, connect):
    client = connect(gateway.endpoint, timeout=PATIENCE, retry=PERSISTENT)
    client.create_bucket("bucket")
    bodies = {f"{number:03}": os.urandom(1 << 14) for number in range(100)}
    acknowledged = threading.Semaphore(0)

    def put(key):
        client.put_object("bucket", key, bodies[key], if_absent=True)
        acknowledged.release()

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(put, key) for key in bodies]
        for _ in range(25):
            assert acknowledged.acquire(timeout=PATIENCE)
        gateway.kill()
        start_gateway(listen=gateway.endpoint)
        for each in running:
            each.result(PATIENCE)

    assert bodies == {key: client.get_object("bucket", key) for key in bodies}


def test_an_upload_that_dies_with_its_gateway_was_never_there(start_gateway, gateway, client, connect):
    client.put_object("bucket", "replaced", b"old")
    begun, never = threading.Event(), threading.Event()

    def source():
        for _ in range(12):
            yield os.urandom(MiB)
        begun.set()
        never.wait(PATIENCE)

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(client.upload_from_stream, "bucket", key, source()) for key in ("new", "replaced")]
        assert begun.wait(PATIENCE)
        gateway.kill()
        never.set()
        errors = [each.exception(PATIENCE) for each in running]
    other = connect(start_gateway().endpoint)

    assert [isinstance(error, NetworkError) for error in errors] == [True, True]
    with pytest.raises(ObjectNotFoundError):
        other.get_object("bucket", "new")
    assert other.get_object("bucket", "replaced") == b"old"
    assert [found["key"] for found in other.list_objects("bucket")["objects"]] == ["replaced"]


def test_a_gateway_that_stands_still_is_not_waited_for_and_goes_on_later(gateway, client, connect):
    client.put_object("bucket", "key", b"data")
    hasty = connect(gateway.endpoint, timeout=2.0, idle_timeout=2.0, retry=RetryPolicy(attempts=1))
    hasty.head_object("bucket", "key")

    stand_still(gateway)
    for call in (
        lambda: hasty.head_object("bucket", "key"),
        lambda: hasty.get_object("bucket", "key"),
        lambda: hasty.upload_from_stream("bucket", "new", [bytes(2 * MiB)]),
    ):
        with pytest.raises(NetworkError):
            call()
    gateway.send_signal(signal.SIGCONT)

    assert client.get_object("bucket", "key") == b"data"


def test_a_gateway_keeps_nothing_on_its_machine(start_gateway, connect, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    gateway = start_gateway()
    client = connect(gateway.endpoint)
    client.create_bucket("bucket")
    client.upload_from_stream("bucket", "key", [os.urandom(12 * MiB)])
    client.upload_from_stream("bucket", "once", [os.urandom(12 * MiB)], if_absent=True)
    gateway.kill()

    assert list(tmp_path.iterdir()) == []
