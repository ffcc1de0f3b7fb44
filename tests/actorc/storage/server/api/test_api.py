"""The JSON API as a program sees it, on a server without keys."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.engines.memory.engine import MemoryEngine
from actorc.storage.testing import local_server

ROOT = "/api/v1"
HOSTILE = ["<script>alert(1)</script>", "../../etc/passwd", "a//b", "%2e%2e", "\u202eexe.txt", "a\nb", "😀" * 1024]


def test_the_server_describes_itself(open_server, get):
    status, state = get(open_server, "/server")

    assert status == 200
    assert (state["engine"], state["ready"], state["healthy"], state["is_open"]) == ("memory", True, True, True)
    assert (state["damage_found"], state["transfers"], state["disk"]) == (0, 0, None)
    assert state["http_endpoint"] == open_server.http_endpoint


def test_a_server_with_a_directory_tells_how_much_room_there_is(tmp_path, get):
    options = ServerOptions(data=tmp_path / "data", listen="127.0.0.1:0", http="127.0.0.1:0", grace=0.0)
    with StorageServer(options) as server:
        disk = get(server, "/server")[1]["disk"]

    assert 0 < disk["free"] <= disk["size"]


def test_the_metrics_are_numbers_with_names(open_server, get):
    get(open_server, "/caller")
    samples = get(open_server, "/server/metrics")[1]["samples"]

    (calls,) = (each for each in samples if each["name"] == "storage_calls_total" and each["labels"] == CALLS)
    assert calls["value"] >= 1


CALLS = {"method": "GET", "status": "200"}


def test_buckets_and_objects_are_listed_page_by_page(open_server, get):
    with open_server.client() as client:
        client.create_bucket("pages")
        for number in range(5):
            client.put_object("pages", f"a/{number}", b"x")
        client.put_object("pages", "b", b"x")
    found, token = [], ""
    while True:
        status, page = get(open_server, f"/buckets/pages/objects?page_size=2&page_token={token}")
        found += [each["key"] for each in page["objects"]]
        token = page["next_page_token"]
        assert status == 200
        if not token:
            break

    assert found == [*(f"a/{number}" for number in range(5)), "b"]
    assert get(open_server, "/buckets/pages/objects?delimiter=/")[1]["common_prefixes"] == ["a/"]
    assert "pages" in [each["name"] for each in get(open_server, "/buckets")[1]["buckets"]]
    assert get(open_server, "/buckets/pages")[1]["name"] == "pages"


@pytest.mark.parametrize("key", HOSTILE)
def test_an_object_of_any_name_is_described_and_sent_as_data(open_server, ask, key):
    with open_server.client() as client:
        client.put_object("bucket", key, b"0123456789", content_type="text/html", metadata={"m": key[:50]})
        head = client.head_object("bucket", key)
    base, query = f"{open_server.http_endpoint}{ROOT}/buckets/bucket", f"?key={quote(key, safe='')}"
    described = ask(f"{base}/object{query}")
    sent = ask(f"{base}/content{query}", Range="bytes=2-4")

    told = json.loads(described.body)
    assert (told["key"], told["metadata"], told["etag"]) == (key, {"m": key[:50]}, head["etag"])
    assert described.headers["Content-Type"] == "application/json; charset=utf-8"
    assert described.headers["X-Content-Type-Options"] == "nosniff"
    assert described.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert described.headers["Cache-Control"] == "no-store"
    assert (sent.status, sent.body) == (206, b"234")
    assert sent.headers["Content-Disposition"] == "attachment"


def test_a_url_from_the_api_gets_the_object(open_server, get, ask):
    with open_server.client() as client:
        client.put_object("bucket", "by-url", b"bytes")
    url = get(open_server, "/buckets/bucket/url?key=by-url&expires=60")[1]["url"]

    assert ask(url).body == b"bytes"


@pytest.mark.parametrize(
    ("target", "status", "named"),
    [
        ("/nothing", 404, "/api/v1/openapi.json"),
        ("/buckets/", 404, "openapi.json"),
        ("/buckets/missing/objects", 404, "bucket"),
        ("/buckets/bucket/object?key=missing", 404, "object"),
        ("/buckets/bucket/object", 400, "key"),
        ("/buckets/bucket/object?key=/a", 400, "key"),
        ("/buckets/bucket/object?key=a&key=b", 400, "key"),
        ("/buckets/bucket/object?key=%ff", 400, "UTF-8"),
        ("/buckets/bucket/object?key=a&bucket=other", 400, "bucket"),
        ("/buckets/%ff", 400, "UTF-8"),
        ("/buckets/Bucket", 400, "bucket"),
        ("/buckets/..%2f..%2fetc", 400, "bucket"),
        ("/buckets?page_size=0", 400, "page_size"),
        ("/buckets?page_size=ten", 400, "page_size"),
        ("/buckets?page_size=1000000", 400, "page_size"),
        ("/buckets?colour=red", 400, "colour"),
        ("/buckets?page_token=made-up", 400, "page token"),
        ("/buckets?" + "&".join(f"p{number}=" for number in range(100)), 400, "32"),
    ],
)
def test_a_wrong_request_is_refused_by_name(open_server, get, target, status, named):
    found, problem = get(open_server, target)

    assert found == problem["status"] == status
    assert named in problem["message"]
    assert problem.keys() == {"type", "title", "status", "detail", "code", "message", "request_id"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused_with_those_that_there_are(open_server, ask, method):
    answer = ask(f"{open_server.http_endpoint}{ROOT}/server", method)

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_options_tells_the_methods_and_allows_no_other_site(open_server, ask):
    answer = ask(f"{open_server.http_endpoint}{ROOT}/server", "OPTIONS", Origin="http://evil.example")

    assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_head_has_the_headers_of_get_and_no_body(open_server, ask):
    got, headed = (ask(f"{open_server.http_endpoint}{ROOT}/caller", method) for method in ("GET", "HEAD"))

    assert headed.body == b""
    assert headed.headers["Content-Length"] == got.headers["Content-Length"]
    assert headed.headers["ETag"] == got.headers["ETag"]


def test_an_unchanged_answer_is_not_sent_again(open_server, ask):
    url = f"{open_server.http_endpoint}{ROOT}/caller"
    again = ask(url, If_None_Match=ask(url).headers["ETag"])

    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_without_keys_a_page_of_another_site_gets_nothing(open_server, get, headers):
    status, problem = get(open_server, "/server", **headers)

    assert (status, problem["code"]) == (403, "ForeignOrigin")


def test_without_keys_a_name_that_is_not_the_servers_gets_nothing(open_server, get):
    status, problem = get(open_server, "/server", Host="evil.example")

    assert (status, problem["code"]) == (421, "Misdirected")


def test_a_page_of_the_servers_own_is_answered(open_server, get):
    own = {"Origin": open_server.http_endpoint, "Sec_Fetch_Site": "same-origin"}

    assert get(open_server, "/caller", **own)[0] == 200


def test_the_document_names_every_schema_that_it_uses_and_every_operation_once(open_server, ask):
    text = ask(f"{open_server.http_endpoint}{ROOT}/openapi.json").body.decode()
    document = json.loads(text)
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    operations = [each for path in document["paths"].values() for each in path.values()]

    assert named == document["components"]["schemas"].keys()
    assert len({each["operationId"] for each in operations}) == len(operations) >= 20
    assert all(each["summary"].endswith(".") for each in operations)


class Waiting(MemoryEngine):
    """Lists only when it is told to."""

    def __init__(self):
        super().__init__()
        self.listing = threading.Semaphore(0)
        self.may_go_on = threading.Event()

    def page(self, query):
        self.listing.release()
        assert self.may_go_on.wait(20)
        return super().page(query)


def test_a_busy_server_says_when_to_come_back(ask):
    engine = Waiting()
    with local_server(engine, http=True, threads=9) as server, server.client() as client:
        client.create_bucket("bucket")
        url = f"{server.http_endpoint}{ROOT}/buckets/bucket/objects"
        with ThreadPoolExecutor(2) as others:
            waiting = [others.submit(ask, url) for _ in range(2)]
            for _ in waiting:
                assert engine.listing.acquire(timeout=20)
            refused = ask(url)
            engine.may_go_on.set()
            answered = [each.result().status for each in waiting]

    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert answered == [200, 200]
