"""What calls show of the way to a server."""

from __future__ import annotations

import socket

import pytest

from actorc.storage import StorageClient
from actorc.storage._rpc.round_trips import RoundTrips


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setenv("STORAGE_LOCAL", "0")
    with StorageClient(server.endpoint) as it:
        yield it


def shown(client):
    return client._remote._rpc.round_trips.seconds


def test_the_shortest_of_three_calls_counts_since_others_may_have_waited_for_a_connection():
    trips = RoundTrips()
    for seconds in (0.3, 0.1):
        trips.took(seconds)
        assert trips.seconds == 0

    trips.took(0.2)
    assert trips.seconds == 0.1


def test_calls_that_read_and_streams_show_a_round_trip(client):
    client.put_object("bucket", "key", bytes(3 << 20))
    client.head_object("bucket", "key")
    assert shown(client) == 0

    client.get_object("bucket", "key")  # a call that finds it too large for one answer, and a stream
    assert 0 < shown(client) < 60


def test_calls_that_wait_for_the_disk_of_a_server_show_none(client):
    for number in range(3):
        client.put_object("bucket", f"key {number}", b"value")

    assert shown(client) == 0


def test_a_server_on_this_machine_is_no_way_off(server):
    with StorageClient(server.endpoint) as client:
        for _ in range(3):
            assert client.server_info()["transport"] == "unix"
        assert shown(client) == 0
        assert client._remote.measured_round_trip() == 0


def test_a_round_trip_that_no_call_has_shown_is_measured_by_three(relay):
    with StorageClient(relay.endpoint) as client:
        assert client._remote.measured_round_trip() > 0
        assert client._remote.measured_round_trip() > 0

    assert relay.calls == ["GetServerInfo"] * 3


def test_a_server_that_is_not_there_leaves_the_error_to_the_call_that_matters():
    with socket.create_server(("127.0.0.1", 0)) as held, StorageClient(f"127.0.0.1:{held.getsockname()[1]}") as client:
        held.close()
        assert client._remote.measured_round_trip() == 0
