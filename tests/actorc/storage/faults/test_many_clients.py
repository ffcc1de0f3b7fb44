"""A crowd at one server: it stays usable, and says no at once to what is too much."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import psutil
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import ResourceExhaustedError, RetryPolicy, StorageClient

pytestmark = pytest.mark.slow

MiB = 1 << 20
CROWD = 1000
STREAMS = 12
"""Uploads and downloads that the server runs at the same time."""
TIMEOUT = 30.0
SERVICE = "/ignis.storage.v1.StorageService/"
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]


@pytest.fixture(scope="module", autouse=True)
def _enough_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 4 * CROWD
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{CROWD} connections need {needed} file descriptors, and {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def server():
    command = ["--engine", "memory://", "--listen", "127.0.0.1:0", "--http", "off", "--auto-create-buckets"]
    command += ["--threads", str(STREAMS + 4), "--reserved", "4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "actorc.storage.server", *command], stderr=subprocess.PIPE, text=True
    )
    endpoint = next(line.split()[-1] for line in process.stderr if " serving " in line)
    # its log, a line for each call, must go somewhere
    drain = threading.Thread(target=process.stderr.read)
    drain.start()
    with process:
        yield process.pid, endpoint
        process.terminate()
        drain.join(TIMEOUT)


@pytest.fixture
def endpoint(server):
    return server[1]


@pytest.fixture
def client(endpoint):
    """A client that takes the first answer."""
    with StorageClient(endpoint, timeout=TIMEOUT, retry=RetryPolicy(attempts=1)) as it:
        it.put_object("bucket", "small", b"small")
        it.put_object("bucket", "big", bytes(32 * MiB))
        yield it


@pytest.fixture
def connect(endpoint):
    """Return new channels, each with a connection of its own."""
    channels = []

    def connected():
        channels.append(grpc.insecure_channel(endpoint, OPTIONS))
        return channels[-1]

    yield connected
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda channel: channel.close(), channels))


def head(channel):
    method = channel.unary_unary(SERVICE + "HeadObject", response_deserializer=pb.HeadObjectResponse.FromString)
    request = pb.HeadObjectRequest(bucket="bucket", key="small")
    return method(request.SerializeToString(), timeout=TIMEOUT).object.size


def begin_to_read(channel):
    """Start a download, take its first message, and leave it there."""
    method = channel.unary_stream(SERVICE + "ReadObject")
    call = method(pb.ReadObjectRequest(bucket="bucket", key="big").SerializeToString(), timeout=TIMEOUT)
    next(call)
    return call


def connections(pid):
    return sum(found.status == psutil.CONN_ESTABLISHED for found in psutil.Process(pid).net_connections("tcp"))


@pytest.mark.thorough
def test_a_thousand_clients_and_a_slow_reader_leave_the_server_usable(server, client, connect):
    reader = begin_to_read(connect())
    crowd = [connect() for _ in range(CROWD)]
    with ThreadPoolExecutor(32) as threads:
        sizes = list(threads.map(head, crowd))
        present = connections(server[0])
        again = list(threads.map(head, crowd))
        put = threads.submit(client.put_object, "bucket", "other", b"x" * 2 * MiB)
        listed = client.list_objects("bucket")

    assert sizes == again == [5] * CROWD
    assert present >= CROWD
    assert (put.result()["size"], client.get_object("bucket", "small")) == (2 * MiB, b"small")
    assert "small" in [found["key"] for found in listed["objects"]]
    assert reader.is_active()


def test_one_transfer_too_many_is_refused_with_a_hint_and_small_calls_are_not(client, connect):
    readers = [begin_to_read(connect()) for _ in range(STREAMS)]
    for refused in (
        lambda: list(client.stream_object("bucket", "small")),
        partial(client.put_object, "bucket", "large", bytes(2 * MiB)),
    ):
        with pytest.raises(ResourceExhaustedError, match=f"{STREAMS} transfers already") as caught:
            refused()
        assert (caught.value.retry_after, caught.value.retryable) == (0.2, True)
    with ThreadPoolExecutor(32) as threads:
        sizes = list(threads.map(head, [connect() for _ in range(50)]))

    assert sizes == [5] * 50
    assert client.put_object("bucket", "inline", b"x")["size"] == 1
    assert client.get_object("bucket", "inline") == b"x"
    assert all(reader.is_active() for reader in readers)


@pytest.mark.thorough
def test_a_crowd_that_calls_all_at_once_is_answered_or_refused_and_none_waits_in_vain(client, connect):
    method = "HeadObject"
    request = pb.HeadObjectRequest(bucket="bucket", key="small").SerializeToString()
    channel = connect()
    calls = [channel.unary_unary(SERVICE + method).future(request, timeout=TIMEOUT) for _ in range(CROWD)]
    codes = [call.code() for call in calls]

    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes.count(grpc.StatusCode.OK) >= STREAMS
    assert client.head_object("bucket", "small")["size"] == 5


@pytest.mark.thorough
def test_clients_that_are_refused_get_their_turn(endpoint, client, connect):
    readers = [begin_to_read(connect()) for _ in range(STREAMS)]
    with StorageClient(endpoint, timeout=TIMEOUT) as patient, ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(b"".join, patient.stream_object("bucket", "small")) for _ in range(8)]
        for reader in readers:
            reader.cancel()
        answers = [answer.result() for answer in waiting]

    assert answers == [b"small"] * 8
