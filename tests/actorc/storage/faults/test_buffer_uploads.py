"""Large buffers: sent by one stream, or in parts where the link is long, with the same result."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from actorc.storage import (
    AlreadyExistsError,
    PreconditionFailedError,
    RetryPolicy,
    StorageClient,
    StorageError,
)
from actorc.storage._rpc import cancellation
from actorc.storage._rpc.round_trips import RoundTrips
from actorc.storage._transfer import buffer_upload
from actorc.storage._transfer.stream_count import StreamCount
from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import Condition, Destination, ObjectAttributes
from actorc.storage.rules import KiB, MiB
from actorc.storage.testing import local_server

CONTENT = random.Random(0).randbytes(11 * MiB + 123)
ALL = (memoryview(CONTENT),)
HASTY = RetryPolicy(attempts=2, base=0.001, cap=0.002)
WHOLE, PARTS = 1, 4
"""Streams that begin over a short link, and over a long one."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with local_server((tmp_path_factory.mktemp("server") / "data").as_uri()) as running:
        yield running


@pytest.fixture(scope="module")
def direct(server):
    with server.client() as made:
        made.create_bucket("bucket")
        yield made


@pytest.fixture(autouse=True)
def _no_upload_is_left(direct):
    direct.delete_object("bucket", "key")
    yield
    assert list(direct.list_multipart_uploads("bucket")["uploads"]) == []


@pytest.fixture
def client(relay):
    with StorageClient(relay.endpoint, retry=HASTY) as made:
        yield made


def destination(**options):
    attributes = ObjectAttributes(content_type="text/x-test", metadata={"author": "alice"}, ttl=3600)
    return Destination(bucket="bucket", key="key", attributes=attributes, **options)


def stored(client, *, buffers=ALL, count=PARTS, progress=None, **options):
    return buffer_upload.store(
        client._remote,
        destination(**options),
        buffers,
        MiB,
        progress=progress,
        streams=StreamCount(most=count, begin=count),
    )


@pytest.mark.parametrize("count", [WHOLE, PARTS], ids=["as a whole", "in parts"])
def test_the_object_is_the_same_whichever_way_it_was_sent(client, count):
    told = []

    info = stored(client, count=count, progress=lambda *step: told.append(step))

    head = client.head_object("bucket", "key")
    assert client.get_object("bucket", "key") == CONTENT
    assert (info.size, info.crc32c) == (len(CONTENT), crc32c(CONTENT))
    assert (head["etag"], head["content_type"], head["metadata"]) == (info.etag, "text/x-test", {"author": "alice"})
    assert head["expires_at"] is not None
    assert told == sorted(set(told))
    assert told[-1] == (len(CONTENT), len(CONTENT))


def over_a_link(client, seconds):
    """Store the content after calls that took so long; uploads show no shorter ones."""
    for _ in range(3):
        client._remote._rpc.round_trips.took(seconds)
    return buffer_upload.store(client._remote, destination(), ALL, MiB)


def test_a_short_link_is_left_to_one_stream(client, relay):
    over_a_link(client, 0.0005)

    assert relay.calls == ["WriteObject"]


def test_over_a_long_link_parts_are_sent_and_become_one_object_and_nothing_is_sent_twice(client, relay):
    over_a_link(client, 0.02)

    assert Counter(relay.calls) == {"CreateMultipartUpload": 1, "WriteObject": 12, "CompleteMultipartUpload": 1}
    assert client.get_object("bucket", "key") == CONTENT


def test_a_link_that_is_not_known_is_measured_first(client, relay):
    buffer_upload.store(client._remote, destination(), ALL, MiB)

    assert relay.calls[:3] == ["GetServerInfo"] * 3


def test_buffers_of_any_size_become_one_object(client):
    edges = [0, 1, 1, 3 * MiB - 1, 3 * MiB + 5, 9 * MiB, len(CONTENT)]
    buffers = tuple(memoryview(CONTENT)[start:stop] for start, stop in pairwise(edges))

    stored(client, buffers=buffers)

    assert client.get_object("bucket", "key") == CONTENT


def test_a_key_that_is_taken_is_refused_before_parts_are_sent(client, direct, relay):
    direct.put_object("bucket", "key", b"mine")

    with pytest.raises(AlreadyExistsError):
        stored(client, condition=Condition(if_absent=True))

    assert direct.get_object("bucket", "key") == b"mine"
    assert relay.calls == ["CreateMultipartUpload"]


@pytest.mark.parametrize("options", [{"if_absent": True}, {"if_match": "as it was"}], ids=str)
def test_a_condition_that_fails_meanwhile_stores_nothing(client, direct, options):
    if "if_match" in options:
        options = {"if_match": direct.put_object("bucket", "key", b"before")["etag"]}

    def progress(done, total):
        if done == total:
            direct.put_object("bucket", "key", b"theirs")

    with pytest.raises((AlreadyExistsError, PreconditionFailedError)):
        stored(client, condition=Condition(**options), progress=progress)

    assert direct.get_object("bucket", "key") == b"theirs"


def test_an_error_of_the_caller_ends_the_upload_and_stores_nothing(client, direct):
    def progress(done, _total):
        if done >= 7 * MiB:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stored(client, progress=progress)

    assert not direct.object_exists("bucket", "key")


def test_a_cancelled_upload_stores_nothing(client, direct):
    scope = cancellation.CancelScope()

    def progress(done, _total):
        if done >= 7 * MiB:
            scope.cancel()

    with cancellation.entered(scope), pytest.raises(StorageError, match="cancelled"):
        stored(client, progress=progress)

    assert not direct.object_exists("bucket", "key")


def test_cut_connections_are_no_error(server, direct, make_proxy):
    proxy, cuts = make_proxy(server.endpoint), [9 * MiB, 6 * MiB, 4 * MiB]

    def progress(done, _total):
        if cuts and done >= cuts[-1]:
            cuts.pop()
            proxy.drop_all()

    with StorageClient(proxy.endpoint, retry=RetryPolicy(attempts=100, base=0.001, cap=0.01)) as client:
        stored(client, progress=progress)

    assert direct.get_object("bucket", "key") == CONTENT


def test_a_part_that_is_damaged_on_the_way_is_sent_again(client, direct, relay):
    left = [3 * MiB]

    def alter(direction, method, message):
        if direction == "up" and method == "WriteObject" and left:
            left[0] -= len(message)
            if left[0] < 0 and len(message) > KiB:
                left.clear()
                return message[:-1] + bytes([message[-1] ^ 1])
        return message

    relay.alter = alter
    stored(client)

    assert direct.get_object("bucket", "key") == CONTENT
    assert left == []


def test_a_server_that_takes_no_more_streams_is_sent_the_object_by_one(tmp_path, make_relay):
    with local_server((tmp_path / "narrow").as_uri(), threads=3, reserved=2) as narrow:
        relay = make_relay(narrow.endpoint)
        with StorageClient(relay.endpoint, retry=HASTY) as client:
            client.create_bucket("bucket")
            stored(client)

            assert client.get_object("bucket", "key") == CONTENT
            assert list(client.list_multipart_uploads("bucket")["uploads"]) == []


def test_put_object_sends_large_buffers_by_several_streams_over_a_long_link(monkeypatch, client, relay):
    monkeypatch.setattr(RoundTrips, "seconds", 0.02)
    content = CONTENT * 7

    put = client.put_object("bucket", "key", [content[: 5 * MiB], content[5 * MiB :]], metadata={"a": "b"})

    assert client.get_object("bucket", "key", if_match=put["etag"]) == content
    assert "CompleteMultipartUpload" in relay.calls
