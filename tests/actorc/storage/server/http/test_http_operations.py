"""Who gets past the HTTP plane, what it does under load and at its end, and what it tells of itself."""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import grpc
import pytest
import trustme
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from actorc.storage import InvalidParameterError, PermissionError, StorageClient, UnsupportedError
from actorc.storage._wire.call_signing import derived_key
from actorc.storage._wire.url_signing import Grant, sign_url
from actorc.storage.server import ServerOptions, StorageServer, config
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.key_file import add_key, disable_key
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.server.http.server import HttpServer
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.testing import local_server
from actorc.storage.testing.contract.store_face import StoreFace

MiB = 1 << 20
DAY = 24 * 3600


@pytest.fixture
def keys(tmp_path):
    """Make keys in a file; each is a key's id and its secret."""
    file = tmp_path / "keys.json"

    def made(*allowed):
        key, secret = add_key(file, [Statement.parse(text) for text in allowed] or [EVERYTHING])
        return key.id, secret

    made.file = file
    return made


@pytest.fixture
def closed(keys):
    """A server with keys, and the client of one that may do everything."""
    holder = keys()
    with local_server(keys=keys.file, http=True) as running, running.client(**credentials(holder)) as client:
        client.put_object("bucket", "key", b"value")
        yield running, client, holder


@pytest.fixture
def opened():
    """A server without keys, and a client of it."""
    with local_server(http=True) as running, running.client() as client:
        client.put_object("bucket", "key", b"value")
        yield running, client


def credentials(holder):
    return {"access_key": holder[0], "secret_key": holder[1]}


def forged(running, holder, *, key="key", method="GET", left=60.0, endpoint=None):
    """Return a URL that says what no client of ours would sign."""
    grant = Grant(method=method, bucket="bucket", key=key, expires_at=int(time.time() + left))
    return sign_url(endpoint or running.http_endpoint, derived_key(holder[1]), holder[0], grant)


def told_alike(answers):
    """Return the different things that answers tell, but for ids and times."""
    varying = {"Date", "x-acs-request-id"}
    return {
        (each.status, each.error, *((name, text) for name, text in each.headers.items() if name not in varying))
        for each in answers
    }


def test_a_stranger_learns_nothing(closed, ask):
    running, client, (access_key, secret) = closed
    url = client.presign_url("bucket", "key")
    answers = [
        ask(forged(running, ("unknown", secret))),
        ask(forged(running, (access_key, "wrong"))),
        ask(forged(running, (access_key, "wrong"), key="none")),
        ask(forged(running, ("anybody", "wrong"))),
        ask(url.replace("/key?", "/other?")),
        ask(url.replace("acs-exp=", "acs-exp=1")),
        ask(url.replace("acs-sig=", "acs-sig=0")),
        ask(url.partition("?")[0]),
        ask(running.http_endpoint + "/o/"),
    ]

    assert ask(url).status == 200
    assert len(told_alike(answers)) == 1
    assert (answers[0].status, answers[0].error[0]) == (403, "Unauthenticated")


def test_a_url_ends_with_its_time_and_cannot_be_made_for_longer_than_a_week(closed, ask):
    running, _, holder = closed
    expired, long, longest = (ask(forged(running, holder, left=left)) for left in (-1, 7 * DAY + 900, 7 * DAY))

    assert (expired.status, "expired" in expired.error[1]) == (403, True)
    assert (long.status, "seven days" in long.error[1]) == (403, True)
    assert longest.status == 200


def test_a_url_ends_with_its_key(closed, keys, ask):
    _, client, holder = closed
    url = client.presign_url("bucket", "key")
    before = ask(url)
    disable_key(keys.file, holder[0])

    assert [before.status, ask(url).status] == [200, 403]


@pytest.mark.parametrize(
    ("signed", "asked"), [("GET", "PUT"), ("GET", "DELETE"), ("HEAD", "GET"), ("PUT", "GET"), ("DELETE", "PUT")]
)
def test_a_url_is_for_one_thing(opened, ask, signed, asked):
    _, client = opened
    answer = ask(client.presign_url("bucket", "key", signed), asked, b"x" if asked == "PUT" else None)

    assert (answer.status, answer.error[0]) == (403, "PermissionDenied")
    assert client.get_object("bucket", "key") == b"value"


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused_and_nothing_is_said_to_other_sites(opened, ask, method):
    _, client = opened
    answer = ask(client.presign_url("bucket", "key"), method, Origin="https://example.org")

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, PUT, DELETE")
    assert [name for name in answer.headers if name.lower().startswith("access-control")] == []


@pytest.mark.parametrize(
    ("allowed", "method"),
    [
        (["read:bucket"], "GET"),
        (["presign:bucket"], "GET"),
        (["presign,read:bucket"], "PUT"),
        (["presign,write:bucket"], "DELETE"),
        (["presign:bucket/a/", "read:bucket"], "GET"),
        (["presign,read:other"], "GET"),
    ],
)
def test_whoever_may_not_do_it_or_not_let_others_do_it_makes_no_url(closed, keys, ask, allowed, method):
    running, _, _ = closed
    holder = keys(*allowed)
    by_hand = ask(forged(running, holder, method=method), method, b"" if method == "PUT" else None)

    with running.client(**credentials(holder)) as client, pytest.raises(PermissionError):
        client.presign_url("bucket", "key", method)
    assert (by_hand.status, by_hand.error[0]) == (403, "PermissionDenied")


def test_whoever_may_only_write_can_let_others_write(closed, keys, ask):
    running, client, _ = closed
    holder = keys("presign,write:bucket/inbox/")
    with running.client(**credentials(holder)) as guest:
        url = guest.presign_url("bucket", "inbox/letter", "PUT")

    assert [ask(url, "PUT", b"1").status, ask(url, "PUT", b"2").status] == [201, 200]
    assert client.get_object("bucket", "inbox/letter") == b"2"


def test_a_url_made_offline_is_as_good(closed, ask):
    running, _, holder = closed
    with StorageClient("127.0.0.1:1", *holder, http_endpoint=running.http_endpoint) as offline:
        url = offline.presign_url("bucket", "key")

    assert ask(url).body == b"value"


def test_urls_of_an_open_server_end_when_it_gets_keys(tmp_path, ask):
    options = ServerOptions(data=tmp_path / "data", listen="127.0.0.1:0", http="127.0.0.1:0", grace=0)
    with StorageServer(options) as running, StorageClient(running.address) as client:
        client.create_bucket("bucket")
        client.put_object("bucket", "key", b"value")
        url = client.presign_url("bucket", "key")
        before = ask(url)
        add_key(tmp_path / "data" / "keys.json", [EVERYTHING])
        after = ask(url)

    assert [before.status, after.status] == [200, 403]


def test_nobody_can_sign_for_an_open_server(opened, ask):
    running, _ = opened

    assert ask(forged(running, ("anybody", ""))).status == 403


@pytest.mark.parametrize("name", ["example.org", "example.org:{port}", "127.0.0.1", "[::1]:{port}", ""])
def test_an_open_server_answers_under_its_own_names_alone(opened, ask, name):
    running, client = opened
    url = client.presign_url("bucket", "key")
    port = urlsplit(url).port
    wrong = ask(url, Host=name.format(port=port))

    assert (wrong.status, wrong.error[0]) == (421, "Misdirected")
    assert ask(running.http_endpoint + "/healthz", Host=name.format(port=port)).status == 421
    assert ask(url, Host=f"LocalHost:{port}").status == 200


def test_a_closed_server_is_reached_under_any_name(closed, ask):
    _, client, _ = closed

    assert ask(client.presign_url("bucket", "key"), Host="example.org").status == 200


def test_urls_lead_where_the_server_is_told_it_is_reached(ask):
    with local_server(http=True, public_http_url="https://storage.example.org/") as running, running.client() as client:
        client.put_object("bucket", "key", b"value")
        url = client.presign_url("bucket", "key")
        info = client.server_info()

    assert url.startswith("https://storage.example.org/o/bucket/key?")
    assert info["http_endpoint"] == running.http_endpoint == "https://storage.example.org"


def test_a_server_without_the_plane_makes_no_urls():
    with local_server() as running, running.client() as client:
        with pytest.raises(UnsupportedError, match="start it with --http"):
            client.presign_url("bucket", "key")

        assert client.server_info()["http_endpoint"] is None


def test_a_server_that_listens_everywhere_does_not_know_where_it_is_reached(keys):
    holder = keys()
    with (
        local_server(keys=keys.file, http="0.0.0.0:0") as running,
        running.client(**credentials(holder)) as client,
        pytest.raises(UnsupportedError, match="--public-http-url"),
    ):
        client.presign_url("bucket", "key")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"http": "0.0.0.0:0"}, "access keys are needed beyond loopback"),
        ({"http": "here"}, "HOST:PORT"),
        ({"public_http_url": "storage"}, "--public-http-url"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(InvalidParameterError, match=said):
        ServerOptions(engine="memory://", **options)


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_port_that_is_asked_for_and_taken_ends_the_start(taken):
    with pytest.raises(InvalidParameterError, match="cannot serve HTTP"), local_server(http=taken):
        pass


def test_a_port_that_is_taken_and_not_asked_for_is_done_without(taken, monkeypatch, caplog):
    monkeypatch.setattr(config, "DEFAULT_HTTP_PORT", int(taken.rpartition(":")[2]))
    with caplog.at_level(logging.WARNING), local_server(http="auto") as running, running.client() as client:
        client.put_object("bucket", "key", b"value")

    assert running.http_endpoint is None
    assert "cannot serve HTTP" in caplog.text


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "said"), [("127.0.0.1:0", "InvalidParameterError: "), ("auto", "there is no HTTP")]
)
def test_without_its_library_the_plane_is_missed_when_it_is_asked_for(address, said):
    code = """
import logging, sys
sys.modules["aiohttp"] = None
logging.basicConfig()
from actorc.storage.testing import local_server
with local_server(http=sys.argv[1]) as running, running.client() as client:
    client.put_object("bucket", "key", b"value")
"""
    ran = subprocess.run([sys.executable, "-c", code, address], capture_output=True, text=True, timeout=60, check=False)

    assert said in ran.stderr
    assert "pip install 'lucas-storage[http]'" in ran.stderr
    assert ran.returncode == (0 if address == "auto" else 1)


def test_over_tls_the_plane_has_the_certificate_of_the_server(tmp_path, ask):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    tls = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    with (
        local_server(http=True, **tls) as running,
        running.client(use_ssl=True, ca_file=tmp_path / "ca.pem") as client,
    ):
        client.put_object("bucket", "key", data := os.urandom(3 * MiB))
        answer = ask(client.presign_url("bucket", "key"), context=context)

    assert running.http_endpoint.startswith("https://127.0.0.1:")
    assert answer.body == data


def test_over_the_limit_there_is_an_immediate_refusal_with_a_retry_hint(ask, line):
    with local_server(http=True, threads=2, reserved=1) as running, running.client() as client:
        client.put_object("bucket", "key", b"value")
        busy = [
            line(client.presign_url("bucket", key, "PUT"), "PUT", "Content-Length: 5", "Expect: 100-continue")
            for key in ("one", "two")
        ]
        begun = [each.heard() for each in busy]
        refused = ask(client.presign_url("bucket", "key"))
        health = ask(running.http_endpoint + "/healthz")
        for each in busy:
            each.send(b"12345")
        done = [each.heard()[:12] for each in busy]
        after = ask(client.presign_url("bucket", "key"))

    assert begun == [b"HTTP/1.1 100 Continue\r\n\r\n"] * 2
    assert (refused.status, refused.error[0], refused.headers["Retry-After"]) == (503, "ResourceExhausted", "1")
    assert (health.status, done, after.status) == (200, [b"HTTP/1.1 201"] * 2, 200)


def test_a_sender_that_stands_still_is_given_up(line):
    with local_server(http=True, idle_timeout=0.05) as running, running.client() as client:
        stuck = line(client.presign_url("bucket", "key", "PUT"), "PUT", "Content-Length: 5")
        head = stuck.heard()
        stuck.close()
        stored = client.bucket_exists("bucket") and client.object_exists("bucket", "key")

    assert head.startswith(b"HTTP/1.1 408 ")
    assert not stored


def test_a_reader_that_takes_nothing_is_given_up_and_others_are_served(ask, line, told):
    # stored beneath the server, to which a slow client would be one that does nothing
    engine = MemoryEngine()
    beneath = StoreFace(ObjectStore(engine))
    beneath.create_bucket("bucket")
    beneath.put_object("bucket", "large", bytes(32 * MiB))
    beneath.put_object("bucket", "small", b"value")
    with local_server(engine, http=True, idle_timeout=0.1) as running, running.client() as client:
        slow = line(client.presign_url("bucket", "large"))
        assert ask(client.presign_url("bucket", "small")).body == b"value"
        told("GET", 2)
        received = slow.rest()

    assert len(received) < 32 * MiB
    assert [each.split()[1] for each in told("GET", 2)] == ["200", "408"]


def test_a_connection_that_says_nothing_is_closed(monkeypatch):
    monkeypatch.setattr(HttpServer, "idle_seconds", 0.05)
    with local_server(http=True) as running:
        parts = urlsplit(running.http_endpoint)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as silent:
            silent.sendall(b"GET /o/ HTTP/1.1\r\nHo")

            assert silent.recv(100) == b""


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 20_000, b"GET / HTTP/1.1\r\nHost: " + b"a" * 20_000])
def test_a_head_that_is_too_long_is_refused(opened, head):
    running, _ = opened
    parts = urlsplit(running.http_endpoint)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as talkative:
        talkative.sendall(head + b"\r\n\r\n")

        assert talkative.recv(100).split()[1] == b"400"


def put_begun(running, line):
    with StorageClient(running.address) as client:
        client.create_bucket("bucket", exist_ok=True)
        url = client.presign_url("bucket", "key", "PUT")
    connection = line(url, "PUT", "Content-Length: 5", "Expect: 100-continue")
    connection.heard()
    return connection


@pytest.fixture
def others():
    """Threads of servers that other tests share."""
    return set(threading.enumerate())


@pytest.fixture
def stoppable(others):
    options = ServerOptions(engine="memory://", listen="127.0.0.1:0", http="127.0.0.1:0")
    running = StorageServer(options)
    running.start()
    yield running
    running.stop(0)


def test_a_request_under_way_is_finished_before_the_end(stoppable, line, ask):
    connection = put_begun(stoppable, line)
    stopping = threading.Thread(target=stoppable.stop, args=(1000,))
    stopping.start()
    while ask(stoppable.http_endpoint + "/readyz").status != 503:
        pass
    connection.send(b"12345")
    head = connection.heard()
    stopping.join(20)

    assert head.startswith(b"HTTP/1.1 201 ")
    assert not stopping.is_alive()


def test_a_request_that_does_not_end_is_broken_off_and_nothing_of_it_stored(stoppable, others, line, told):
    connection = put_begun(stoppable, line)
    connection.send(b"123")
    stoppable.stop(0.05)

    assert connection.rest() == b""
    assert told("PUT")[0].split()[1] == "499"
    left = set(threading.enumerate()) - others
    assert [thread.name for thread in left if thread.name.startswith("storage-http")] == []


class ReadOnlyEngine(MemoryEngine):
    """Accepts no changes, as the embedded engine does once it cannot tell what is on its disk."""

    healthy = True


def health(address):
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", StringValue.SerializeToString, Int32Value.FromString
        )
        return check(StringValue(), timeout=20).value


def test_a_server_whose_engine_is_read_only_runs_but_is_not_ready(ask):
    engine = ReadOnlyEngine()
    with local_server(engine, http=True) as running:
        pages = [running.http_endpoint + page for page in ("/healthz", "/readyz")]
        before = [ask(page).status for page in pages], health(running.endpoint)
        engine.healthy = False
        after = [ask(page).status for page in pages], health(running.endpoint)
        numbers = ask(running.http_endpoint + "/metrics").body.decode()

    assert (before, after) == (([200, 200], 1), ([200, 503], 2))
    assert "\nstorage_engine_healthy 0.0\n" in numbers


def test_numbers_are_told_of_both_planes(tmp_path, ask, told):
    options = ServerOptions(data=tmp_path / "data", listen="127.0.0.1:0", http="127.0.0.1:0", auto_create_buckets=True)
    with StorageServer(options) as running, StorageClient(running.address) as client:
        client.put_object("bucket", "key", b"value")
        client.object_exists("bucket", "none")
        url = client.presign_url("bucket", "key")
        ask(url)
        told("GET")
        ask(url, "OPTIONS")
        told("OTHER")
        answer = ask(running.http_endpoint + "/metrics")

    numbers = dict(re.findall(r"^(storage_\S+) (\S+)$", answer.body.decode(), re.MULTILINE))
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert numbers['storage_calls_total{method="PutObject",status="OK"}'] == "1.0"
    assert numbers['storage_calls_total{method="HeadObject",status="NOT_FOUND"}'] == "1.0"
    assert numbers['storage_calls_total{method="GET",status="200"}'] == "1.0"
    assert numbers['storage_calls_total{method="OTHER",status="405"}'] == "1.0"
    assert numbers['storage_call_seconds_count{method="GET"}'] == "1.0"
    assert numbers['storage_object_bytes_total{direction="in"}'] == "5.0"
    assert numbers['storage_object_bytes_total{direction="out"}'] == "5.0"
    assert numbers["storage_transfers"] == "0.0"
    assert float(numbers["storage_disk_free_bytes"]) > 0


def test_objects_of_batches_are_counted_beside_their_calls(tmp_path, ask):
    options = ServerOptions(data=tmp_path / "data", listen="127.0.0.1:0", http="127.0.0.1:0", auto_create_buckets=True)
    with StorageServer(options) as running, StorageClient(running.address) as client:
        client.put_objects("bucket", {"a": b"1", "b": b"2", "c": b"3"})
        client.get_objects("bucket", ["a", "none"])
        client.get_object("bucket", "a")
        text = ask(running.http_endpoint + "/metrics").body.decode()

    counted = dict(re.findall(r'^storage_batch_objects_total\{method="(\w+)"\} (\S+)$', text, re.MULTILINE))
    # those of which there was none are told as well
    assert counted == {"PutObjects": "3.0", "GetObjects": "2.0", "HeadObjects": "0.0", "DeleteObjects": "0.0"}


def test_every_request_leaves_one_access_line_of_the_same_shape(closed, ask, told):
    _, client, holder = closed
    ask(client.presign_url("bucket", "key"))
    ask(client.presign_url("bucket", "none", "DELETE"), "DELETE")
    ask(client.presign_url("bucket", "key").replace("acs-sig=", "acs-sig=0"))
    name = r"(\w+) (\d+) bucket='(\w*)' key='(\w*)'"
    shape = name + r" bytes=(\d+) ms=\d+\.\d request=[0-9a-f]{32} peer=ipv4:127\.0\.0\.1:\d+ by=([\w-]+)"
    lines = told("GET", 2) + told("DELETE")

    assert [re.fullmatch(shape, each).groups() for each in lines] == [
        ("GET", "200", "bucket", "key", "5", holder[0]),
        ("GET", "403", "bucket", "key", "0", "-"),
        ("DELETE", "204", "bucket", "none", "0", holder[0]),
    ]


class BrokenEngine(MemoryEngine):
    """Fails as a bug would."""

    def head(self, bucket, key):
        raise ZeroDivisionError("secret detail")


def test_what_fails_inside_is_logged_and_not_told(ask, caplog):
    with local_server(BrokenEngine(), http=True) as running, running.client() as client:
        answer = ask(client.presign_url("bucket", "key"))

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "secret detail" in caplog.text
    assert answer.headers["x-acs-request-id"] in caplog.text
