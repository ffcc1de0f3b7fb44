"""Whoever has a URL is sent on to where the bytes are, if the engine can, and nothing of ours would be lost by it."""

from __future__ import annotations

import pytest

from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server


class SigningEngine(MemoryEngine):
    """An engine whose medium can be asked directly; it notes what for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def presigned_location(self, bucket, key, method, expires):
        self.asked.append((bucket, key, method, expires))
        return "https://store.example.org/somewhere?signature=s"


@pytest.fixture
def engine():
    return SigningEngine()


@pytest.fixture
def client(engine):
    with local_server(engine, http=True) as server, server.client() as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_object_is_read_where_it_is(engine, client, ask, method):
    put = client.put_object("bucket", "key", b"data", content_type="text/plain")

    answer = ask(client.presign_url("bucket", "key", method, expires=100), method)

    assert (answer.status, answer.body) == (307, b"")
    assert answer.headers["Location"] == "https://store.example.org/somewhere?signature=s"
    assert answer.headers["ETag"] == f'"{put["etag"]}"'
    ((*named, expires),) = engine.asked
    assert named == ["bucket", "key", method]
    assert 0 < expires <= 101


@pytest.mark.parametrize(
    ("described", "headers", "status"),
    [
        ({"metadata": {"a": "b"}}, {}, 200),
        ({"content_type": "text/html"}, {}, 200),
        ({"content_type": "image/svg+xml"}, {}, 200),
        ({}, {"If_Match": "*"}, 200),
        ({}, {"If_Unmodified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({}, {"If_Range": '"other"', "Range": "bytes=0-1"}, 200),
        ({}, {"If_None_Match": "*"}, 304),
        ({}, {"If_Match": '"other"'}, 412),
        ({}, {"Range": "bytes=9-"}, 416),
    ],
)
def test_what_the_medium_could_not_answer_alike_is_answered_here(engine, client, ask, described, headers, status):
    client.put_object("bucket", "key", b"data", **{"content_type": "text/plain", **described})

    answer = ask(client.presign_url("bucket", "key"), **headers)

    assert answer.status == status
    assert "Location" not in answer.headers
    assert engine.asked == []


def test_a_range_is_left_to_the_medium(client, ask):
    client.put_object("bucket", "key", b"data", content_type="text/plain")

    assert ask(client.presign_url("bucket", "key"), Range="bytes=1-2").status == 307


def test_what_is_missing_or_not_signed_leads_nowhere(engine, client, ask):
    client.put_object("bucket", "key", b"data", content_type="text/plain")
    url = client.presign_url("bucket", "key")

    assert ask(client.presign_url("bucket", "missing")).status == 404
    assert ask(url.replace("/key?", "/other?")).status == 403
    assert engine.asked == []


def test_writing_and_deleting_are_done_here(engine, client, ask):
    assert ask(client.presign_url("bucket", "key", "PUT"), "PUT", b"data").status == 201
    assert ask(client.presign_url("bucket", "key", "DELETE"), "DELETE").status == 204
    assert engine.asked == []
