"""Presigned URLs for reading lead to the store itself, which can sign: the bytes do not pass through a gateway."""

from __future__ import annotations

import http.client
import os
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from actorc.storage.rules import MiB

pytestmark = pytest.mark.slow

DATA = os.urandom(2 * MiB)
KEYS = ["key", "a b/ü%.txt", "a+b", "%2e%2e/x", "a?b#c&d=e"]


class Answer:
    """What came back over HTTP."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()


def ask(url, method="GET", body=None, **headers):
    """Make a request and follow nothing."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=20)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        return Answer(connection.getresponse())


@pytest.fixture
def put(client):
    def stored(key, data=DATA, **options):
        client.put_object("bucket", key, data, **options)
        return key

    return stored


def test_a_url_for_reading_is_answered_by_one_of_the_store(client, put, real_store):
    for key in KEYS:
        answer = ask(client.presign_url("bucket", put(key, content_type="text/plain")))
        got = ask(answer.headers["Location"])

        assert answer.status == 307
        assert urlsplit(answer.headers["Location"]).netloc in real_store.query
        assert (got.status, got.body) == (200, DATA)
        assert got.headers["Content-Type"] == "text/plain"


def test_what_only_a_gateway_can_tell_is_served_by_it(client, put):
    put("described", metadata={"author": "ignis"})
    put("page.html")
    put("bound")
    etag = client.head_object("bucket", "bound")["etag"]
    told = ask(client.presign_url("bucket", "described"))
    page = ask(client.presign_url("bucket", "page.html"))
    bound = ask(client.presign_url("bucket", "bound"), **{"If-Match": f'"{etag}"'})

    assert [answer.status for answer in (told, page, bound)] == [200, 200, 200]
    assert [answer.body for answer in (told, page, bound)] == [DATA] * 3
    assert told.headers["x-acs-meta-author"] == "ignis"


def test_head_is_redirected_to_a_url_for_head(client, put):
    answer = ask(client.presign_url("bucket", put("key"), "HEAD"), "HEAD")
    got = ask(answer.headers["Location"], "HEAD")

    assert answer.status == 307
    assert (got.status, got.headers["Content-Length"], got.body) == (200, str(len(DATA)), b"")


def test_a_range_is_asked_of_the_store(client, put):
    answer = ask(client.presign_url("bucket", put("key")), Range="bytes=10-19")
    got = ask(answer.headers["Location"], Range="bytes=10-19")

    assert (answer.status, got.status) == (307, 206)
    assert got.body == DATA[10:20]


def test_a_url_for_writing_is_served_here(client):
    answer = ask(client.presign_url("bucket", "key", "PUT"), "PUT", DATA)

    assert answer.status == 201
    assert client.get_object("bucket", "key") == DATA


def test_what_is_not_signed_or_not_there_leads_nowhere(client, put):
    put("key")
    url = client.presign_url("bucket", "key")
    forged = ask(url.replace("/key?", "/other?"))
    missing = ask(client.presign_url("bucket", "missing"))

    assert (forged.status, missing.status) == (403, 404)
    assert [answer.headers["Location"] for answer in (forged, missing)] == [None, None]


def test_neither_plane_tells_the_secret_of_the_store(client, put, gateway):
    location = ask(client.presign_url("bucket", put("key"))).headers["Location"]
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]

    assert secret not in location
    assert secret not in "".join(gateway.lines)
