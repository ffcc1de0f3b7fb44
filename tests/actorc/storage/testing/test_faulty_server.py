"""Each fault of a faulty server does what it says to the code that meets it, over TCP and over the Unix socket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from actorc.storage import (
    DeadlineExceededError,
    IntegrityError,
    InvalidParameterError,
    NetworkError,
    NotFoundError,
    PermissionError,
    ResourceExhaustedError,
    RetryPolicy,
)
from actorc.storage.testing import faulty_server

MiB = 1 << 20
BIG = bytes(range(256)) * (4 * MiB // 256)
LASTING = RetryPolicy(attempts=400, unreached_attempts=400, base=0.001, cap=0.02)
FEW = RetryPolicy(attempts=3, base=0.001, cap=0.01)


@pytest.fixture
def server(tmp_path):
    with faulty_server(tmp_path / "data") as running:
        yield running


@pytest.fixture(params=["tcp", pytest.param("unix", marks=pytest.mark.slow)])
def local(request):
    return request.param == "unix"


@pytest.fixture
def client(server, local):
    """A client that goes on until it succeeds."""
    with server.client(local=local, retry=LASTING) as made:
        made.put_object("bucket", "key", BIG)
        assert made.server_info()["transport"] == ("unix" if local else "grpc")
        yield made


@pytest.fixture
def hasty(server, local):
    """A client that gives up soon."""
    with server.client(local=local, retry=FEW) as made:
        yield made


@pytest.fixture
def direct(server):
    with server.direct_client() as made:
        yield made


def test_a_cut_download_goes_on(server, client, local):
    # over the Unix socket a whole object is passed as a file, and only its description travels
    with server.cut(after=100 if local else MiB) as fault:
        assert client.get_object("bucket", "key") == BIG
        assert client.head_object("bucket", "key")["size"] == len(BIG)
        assert client.head_object("bucket", "key")["size"] == len(BIG)

    assert fault.struck == 1


def test_a_cut_upload_is_stored_once(server, client, direct):
    with server.cut(after=50, direction="up", times=2) as fault:
        put = client.put_object("bucket", "new", BIG)

    assert fault.struck == 2
    assert direct.head_object("bucket", "new")["generation"] == put["generation"]


def test_a_network_that_stays_cut_is_an_error_until_the_fault_ends(server, client, hasty):
    fault = server.cut(times=None)
    with pytest.raises(NetworkError):
        hasty.get_object("bucket", "key")
    fault.end()

    assert client.get_object("bucket", "key") == BIG


def test_bytes_that_were_withheld_arrive_when_the_fault_ends(server, client):
    with ThreadPoolExecutor(1) as thread, server.stall() as fault:
        found = thread.submit(client.head_object, "bucket", "key")
        fault.wait_until_struck()
        is_waiting = not found.done()
        fault.end()

        assert is_waiting
        assert found.result()["size"] == len(BIG)


def test_a_call_that_stalls_ends_at_its_timeout(server, client):
    with server.stall(direction="up"), pytest.raises(DeadlineExceededError):
        client.head_object("bucket", "key", timeout=0.3)


def test_a_flipped_bit_on_the_way_is_never_seen(server, direct):
    with server.client(local=False, retry=LASTING, idle_timeout=3) as client:
        with server.flip_bit(after=MiB, direction="up") as up:
            client.put_object("bucket", "new", BIG)
        with server.flip_bit(after=MiB) as down:
            assert client.get_object("bucket", "new") == BIG

    assert (up.struck, down.struck) == (1, 1)
    assert direct.get_object("bucket", "new") == BIG


@pytest.mark.slow
def test_a_network_that_damages_everything_is_an_error_and_not_tried_for_ever(server):
    with server.client(local=False, retry=FEW) as client:
        client.put_object("bucket", "key", BIG)
        with server.flip_bit(after=64 << 10, times=None), pytest.raises((IntegrityError, NetworkError)):
            client.get_object("bucket", "key")


@pytest.mark.few(1)
@pytest.mark.parametrize("size", [100, len(BIG)])
def test_a_flipped_bit_of_a_stored_object_is_an_error(server, client, size):
    client.put_object("bucket", "key", BIG[:size])
    server.flip_stored_bit("bucket", "key", at=size - 1)

    with pytest.raises(IntegrityError):
        client.get_object("bucket", "key")
    if size > MiB:
        assert client.get_object("bucket", "key", length=MiB) == BIG[:MiB]


@pytest.mark.slow
def test_a_bit_that_is_not_there_is_not_flipped(server, client):
    client.put_object("bucket", "small", b"abc")

    with pytest.raises(InvalidParameterError, match="there is no byte 3 in an object of 3 bytes"):
        server.flip_stored_bit("bucket", "small", at=3)
    with pytest.raises(NotFoundError):
        server.flip_stored_bit("bucket", "missing")


@pytest.mark.few(1)
@pytest.mark.parametrize("wrong", [{"direction": "left"}, {"after": -1}])
def test_a_fault_that_cannot_be_is_refused(server, wrong):
    with pytest.raises(InvalidParameterError, match="a direction is 'up' or 'down'"):
        server.cut(**wrong)


@pytest.mark.few(1)
@pytest.mark.parametrize("size", [1, len(BIG)])
def test_on_a_full_disk_only_what_adds_to_it_fails(server, client, hasty, size):
    with server.full_disk():
        with pytest.raises(ResourceExhaustedError, match="disk of the server is full"):
            hasty.put_object("bucket", "new", BIG[:size])
        read = client.get_object("bucket", "key")
        client.delete_object("bucket", "key")
        left = client.list_objects("bucket")["objects"]
    client.put_object("bucket", "new", b"data")

    assert (read, left) == (BIG, [])


@pytest.mark.slow
def test_an_upload_under_way_when_the_disk_fills_is_not_visible(server, hasty):
    def pieces():
        yield BIG
        server.full_disk()
        yield BIG

    with pytest.raises(ResourceExhaustedError):
        hasty.upload_from_stream("bucket", "new", pieces(), chunk_size=MiB)

    assert not hasty.object_exists("bucket", "new")


def test_a_restart_keeps_what_was_acknowledged(server, client):
    endpoint = server.endpoint
    server.restart()

    assert server.endpoint == endpoint
    assert client.get_object("bucket", "key") == BIG


def test_a_stopped_server_is_an_error_and_one_that_comes_back_is_not(server, client, hasty):
    fault = server.stop()
    with pytest.raises(NetworkError):
        hasty.head_object("bucket", "key")
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(client.get_object, "bucket", "key")
        fault.end()

        assert found.result() == BIG


def test_a_skewed_clock_is_corrected_up_to_a_day_and_shows_in_times(server, client):
    with server.skew_clock(3600):
        client.put_object("bucket", "late", b"data")
        written = client.head_object("bucket", "late")["last_modified"]
    with server.skew_clock(-25 * 3600), pytest.raises(PermissionError):
        client.head_object("bucket", "key")

    assert written - datetime.now(UTC) > timedelta(minutes=50)
    assert client.get_object("bucket", "key") == BIG


@pytest.mark.slow
def test_objects_expire_by_the_skewed_clock(server, client):
    client.put_object("bucket", "brief", b"data", ttl=600)
    with server.skew_clock(1000):
        gone = not client.object_exists("bucket", "brief")

    assert gone


def test_a_fault_lasts_until_the_last_of_its_kind_ends(server, client, hasty):
    with server.full_disk():
        server.full_disk().end()
        with pytest.raises(ResourceExhaustedError):
            hasty.put_object("bucket", "new", b"data")
    with server.stop():
        server.stop().end()
        with pytest.raises(NetworkError):
            hasty.head_object("bucket", "key")
    with server.skew_clock(7200):
        server.skew_clock(-3600).end()
        written = client.put_object("bucket", "new", b"data")

    found = client.head_object("bucket", "new")
    assert found["etag"] == written["etag"]
    assert found["last_modified"] - datetime.now(UTC) > timedelta(minutes=110)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("cut", {"after": each}) for each in (-1, "5")),
        *(("flip_bit", {"times": each}) for each in (0, -1, "1")),
        *(("skew_clock", {"seconds": each}) for each in ("5", float("nan"), float("inf"))),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(server, name, wrong):
    with pytest.raises(InvalidParameterError):
        getattr(server, name)(**wrong)


@pytest.mark.slow
def test_faults_act_together(server, client, hasty):
    with server.full_disk(), server.cut(after=10), server.skew_clock(60):
        found = client.get_object("bucket", "key", length=MiB)
        with pytest.raises(ResourceExhaustedError):
            hasty.put_object("bucket", "new", BIG)
    server.restart()

    assert found == BIG[:MiB]
    assert client.get_object("bucket", "key") == BIG


@pytest.mark.slow
def test_a_fault_that_nobody_ends_ends_with_its_server(tmp_path):
    with faulty_server(tmp_path / "data") as server, server.client(timeout=0.3) as client:
        server.full_disk()
        server.stop()
        fault = server.stall()
        with pytest.raises(NetworkError):
            client.head_object("bucket", "key")
    fault.end()
    with faulty_server(tmp_path / "data") as server, server.client() as client:
        assert client.put_object("bucket", "key", b"data")["size"] == 4


def test_a_stranger_without_the_key_is_refused(server):
    from actorc.storage import StorageClient

    with StorageClient(server.endpoint) as client, pytest.raises(PermissionError):
        client.list_buckets()
