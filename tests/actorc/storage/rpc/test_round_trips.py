"""What calls show of the way to a server."""

from __future__ import annotations

import pytest

from actorc.storage import StorageClient
from actorc.storage._rpc.round_trips import RoundTrips


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setenv("STORAGE_LOCAL", "0")
    with StorageClient(server.endpoint) as it:
        yield it


def test_one_call_shows_nothing_since_it_may_have_waited_for_a_connection():
    trips = RoundTrips()
    trips.took(0.3)
    assert trips.seconds == 0

    trips.took(0.1)
    trips.took(0.2)
    assert trips.seconds == 0.1


def test_calls_that_read_and_streams_show_a_round_trip(client):
    client.put_object("bucket", "key", bytes(3 << 20))
    client.head_object("bucket", "key")
    assert client._remote.round_trip == 0

    client.get_object("bucket", "key")
    assert 0 < client._remote.round_trip < 60


def test_calls_that_wait_for_the_disk_of_a_server_show_none(client):
    for number in range(3):
        client.put_object("bucket", f"key {number}", b"value")

    assert client._remote.round_trip == 0


def test_a_server_on_this_machine_is_no_way_off(server):
    with StorageClient(server.endpoint) as client:
        for _ in range(3):
            assert client.server_info()["transport"] == "unix"
        assert client._remote.round_trip == 0
