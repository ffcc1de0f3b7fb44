"""A client in the server's process does what one with the caller's key does, and no more."""

from __future__ import annotations

import io
import time

import pytest

from actorc.storage import StorageClient
from actorc.storage.errors import DeadlineExceededError, ObjectNotFoundError, PermissionError, UnsupportedError
from actorc.storage.in_process import carry
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.auth.access import ANYBODY, Principal, Statement
from actorc.storage.server.service.direct_calls import DirectCalls

MiB = 1 << 20


@pytest.fixture
def act():
    """Return a client that acts as a principal."""
    with StorageServer(ServerOptions(engine="memory://", listen="127.0.0.1:0", auto_create_buckets=True)) as server:

        def acting(principal=ANYBODY, seconds=20.0):
            client = StorageClient.__new__(StorageClient)
            calls = DirectCalls(
                server.parts.methods, server.parts.flow, principal, peer="here", deadline=time.monotonic() + seconds
            )
            carry(client, calls, 20.0)
            return client

        yield acting


def test_objects_are_put_listed_and_read_in_pieces(act):
    client = act()
    client.put_object("bucket", "small", b"small", metadata={"a": "b"})
    client.put_object("bucket", "other", b"0123456789")

    assert client.get_object("bucket", "small") == b"small"
    assert client.head_object("bucket", "small")["metadata"] == {"a": "b"}
    assert [each["key"] for each in client.iter_objects("bucket")] == ["other", "small"]
    assert client.get_ranges("bucket", "other", [(0, 2), (-2, 2)]) == [b"01", b"89"]
    buffer = io.BytesIO()
    client.download_to_stream("bucket", "other", buffer)
    assert buffer.getvalue() == b"0123456789"
    assert b"".join(client.stream_object("bucket", "other")) == b"0123456789"
    assert client.server_info()["transport"] == "direct"


def test_it_may_do_no_more_than_its_caller(act):
    act().put_object("bucket", "hidden/a", b"x")
    act().put_object("bucket", "shown/a", b"x")
    client = act(Principal(access_key="AK", statements=(Statement.parse("read,list:bucket/shown/"),)))

    assert client.get_object("bucket", "shown/a") == b"x"
    for call in (
        lambda: client.get_object("bucket", "hidden/a"),
        lambda: client.put_object("bucket", "shown/b", b"x"),
        lambda: client.delete_object("bucket", "shown/a"),
        lambda: client.presign_url("bucket", "shown/a"),
    ):
        with pytest.raises(PermissionError, match="AK"):
            call()


def test_errors_are_those_of_every_client(act):
    client = act()
    client.create_bucket("bucket")

    with pytest.raises(ObjectNotFoundError) as error:
        client.get_object("bucket", "missing")
    assert (error.value.bucket, error.value.key) == ("bucket", "missing")


def test_a_stream_to_the_server_is_refused(act):
    with pytest.raises(UnsupportedError, match="small objects"):
        act().put_object("bucket", "large", bytes(2 * MiB))


def test_a_call_beyond_its_time_fails(act):
    with pytest.raises(DeadlineExceededError, match="ask for less"):
        act(seconds=-1.0).list_buckets()
