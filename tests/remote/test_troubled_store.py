"""The store hangs, dies or fills up: calls end in bounded time, nothing acknowledged is lost, and it passes."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.storage import NetworkError, ObjectNotFoundError, RetryPolicy
from actorc.storage.rules import MiB

BOUND = 30
"""Seconds; more than these gateways may need to give up on their store, less than these clients are willing to wait."""
HASTY = "&timeout=3"
ONCE = RetryPolicy(attempts=1)
DATA = os.urandom(3 * MiB)

TROUBLES = ["kill_gateway", "stop_gateway", "pause_storage", "kill_storage", "stop_storage"]

READS = {
    "get": lambda client: client.get_object("bucket", "kept"),
    "head": lambda client: client.head_object("bucket", "kept"),
    "list": lambda client: client.list_objects("bucket"),
}
WRITES = {
    "put": lambda client: client.put_object("bucket", "small", b"data"),
    "stream": lambda client: client.upload_from_stream("bucket", "large", [DATA] * 4),
    "put if absent": lambda client: client.put_object("bucket", "once", b"data", if_absent=True),
    "delete": lambda client: client.delete_object("bucket", "doomed"),
    "begin": lambda client: client.create_multipart_upload("bucket", "parts"),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def failures(client, calls):
    """Make calls at the same time; return what each of them raised."""

    def raised(call):
        try:
            return call(client)
        except NetworkError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        running = {name: threads.submit(raised, call) for name, call in calls.items()}
        return {name: each.result(BOUND) for name, each in running.items()}


@pytest.fixture
def gateway(start_gateway, store_url):
    return start_gateway(engine=store_url + HASTY)


@pytest.fixture
def patient(gateway, connect):
    """A client that tries once and waits for ever, so that what ends a call is the gateway."""
    client = connect(gateway.endpoint, timeout=1000.0, idle_timeout=1000.0, retry=ONCE)
    client.create_bucket("bucket")
    client.upload_from_stream("bucket", "kept", [DATA])
    client.put_object("bucket", "doomed", b"data")
    return client


def whole_or_absent(client, key, data):
    try:
        return client.get_object("bucket", key) == data
    except ObjectNotFoundError:
        return True


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_call_ends_with_an_error_that_may_pass_and_it_passes(ceph, patient, trouble):
    getattr(ceph, trouble)()
    found = failures(patient, {**READS, **WRITES})
    ceph.heal()

    assert dict.fromkeys(found, True) == {
        name: isinstance(error, NetworkError) and error.retryable for name, error in found.items()
    }, found
    assert patient.get_object("bucket", "kept") == DATA
    assert whole_or_absent(patient, "small", b"data")
    assert whole_or_absent(patient, "large", DATA * 4)
    patient.put_object("bucket", "after", DATA)
    assert patient.get_object("bucket", "after") == DATA


def test_a_full_store_is_read_and_writes_to_it_end(ceph, patient):
    ceph.fill_disk()
    found = failures(patient, {**READS, **WRITES})
    ceph.heal()

    assert {name for name, answer in found.items() if isinstance(answer, NetworkError)} >= {"put", "stream"}
    assert [name for name in READS if isinstance(found[name], NetworkError)] == []
    patient.put_object("bucket", "after", b"data")
    assert patient.get_object("bucket", "kept") == DATA


@pytest.mark.parametrize("trouble", ["kill_gateway", "kill_storage"])
def test_nothing_acknowledged_is_lost_when_the_store_is_killed_under_load(ceph, gateway, client, trouble):
    acknowledged = threading.Semaphore(0)
    bodies = {f"{number:03}": os.urandom(1 << 14) for number in range(120)}

    def put(key):
        client.put_object("bucket", key, bodies[key], timeout=100)
        acknowledged.release()

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(put, key) for key in bodies]
        for _ in range(30):
            assert acknowledged.acquire(timeout=BOUND)
        getattr(ceph, trouble)()
        ceph.heal()
        failed = [error for each in running if (error := each.exception(100))]

    done = [key for key, call in zip(bodies, running, strict=True) if not call.exception()]
    assert all(isinstance(error, NetworkError) for error in failed)
    assert len(done) >= 30
    assert [key for key in done if client.get_object("bucket", key) != bodies[key]] == []


def test_a_call_outlasts_a_short_trouble(ceph, gateway, client):
    client.put_object("bucket", "key", b"before")
    ceph.kill_gateway()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(client.put_object, "bucket", "key", b"after", timeout=100)
        ceph.heal()
        running.result(BOUND)

    assert client.get_object("bucket", "key") == b"after"
