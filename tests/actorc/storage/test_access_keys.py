"""Access keys of a server over its API, from Python: results, errors, and servers that are none."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from actorc.storage import (
    InvalidParameterError,
    NetworkError,
    NotFoundError,
    PermissionError,
    PreconditionFailedError,
    StorageClient,
    StorageError,
    UnauthenticatedError,
    UnsupportedError,
)
from actorc.storage.access_keys import GRACE, AccessKeys
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key, disable_key
from actorc.storage.testing import local_server


@pytest.fixture
def world(tmp_path):
    """A server, the file of its keys, and the keys as its owner has them."""
    file = tmp_path / "keys.json"
    key, secret = add_key(file, [EVERYTHING])
    with local_server(http=True, keys=file) as server, server.client(access_key=key.id, secret_key=secret) as client:
        yield server, file, AccessKeys(client)


def test_keys_are_made_listed_and_changed(world):
    server, _, keys = world
    made = keys.add_key(["read,list:*"], comment="Zoë")
    name = made["access_key"]
    with server.client(access_key=name, secret_key=made["secret_key"]) as client:
        assert client.list_buckets() == []
        rotated = keys.rotate_key(name)
        assert client.list_buckets() == []
        keys.rotate_key(name, grace=0)
        with pytest.raises(UnauthenticatedError):
            client.list_buckets()

    assert rotated["former_until"] - rotated["changed_at"] == timedelta(seconds=GRACE)
    assert keys.disable_key(name)["disabled"]
    assert not keys.enable_key(name)["disabled"]
    with pytest.raises(PreconditionFailedError):
        keys.remove_key(name)
    keys.disable_key(name)
    keys.remove_key(name)
    (left,) = keys.list_keys()
    assert (left["allow"], left["changed_at"], left["former_until"]) == ([str(EVERYTHING)], None, None)
    assert made["comment"] == "Zoë"
    assert "secret_key" not in left


def test_what_is_wrong_is_an_error_of_its_kind(world):
    server, file, keys = world
    for wrong, error in (
        (lambda: keys.disable_key("AKNOBODY"), NotFoundError),
        (lambda: keys.add_key(["fly:*"]), InvalidParameterError),
        (lambda: keys.add_key([]), InvalidParameterError),
        (lambda: keys.rotate_key("AKNOBODY", grace=-1), InvalidParameterError),
        (lambda: keys.rotate_key("\n"), NotFoundError),
        (lambda: keys.rotate_key(""), InvalidParameterError),
    ):
        with pytest.raises(error):
            wrong()
    key, secret = add_key(file, [EVERYTHING])
    with server.client(access_key=key.id, secret_key=secret) as client:
        own = AccessKeys(client)
        with pytest.raises(InvalidParameterError, match="not disabled by it"):
            own.disable_key(key.id)
        disable_key(file, key.id)
        with pytest.raises(UnauthenticatedError, match="disabled"):
            own.list_keys()


def test_a_client_without_a_key_is_refused_and_a_server_without_keys_refuses(world):
    server, _, _ = world
    with server.client(http_endpoint=server.http_endpoint) as client, pytest.raises(UnauthenticatedError):
        AccessKeys(client).list_keys()
    with local_server(http=True) as other, other.client() as client, pytest.raises(PermissionError, match="owner"):
        AccessKeys(client).add_key(["read:*"])


def test_a_server_that_is_not_there_is_named(world):
    server, _, _ = world
    with (
        server.client(http_endpoint="http://127.0.0.1:1") as client,
        pytest.raises(NetworkError, match=r"127\.0\.0\.1:1"),
    ):
        AccessKeys(client).list_keys()


def test_a_server_without_http_says_what_to_do():
    with local_server() as server, server.client() as client, pytest.raises(UnsupportedError, match="--http"):
        AccessKeys(client).list_keys()


@contextmanager
def stranger(status, body, **headers):
    """Yield the address of something that gives one answer to everything, and what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def keys_at(base, secret="s"):
    """Yield the keys of a server whose API is said to be there."""
    with StorageClient("127.0.0.1:1", "AK", secret, http_endpoint=base) as client:
        yield AccessKeys(client)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": 3}'),
        (200, b'{"keys": [{"id": 1}]}'),
        (200, b'{"keys": [[]]}'),
        (200, b"\xff"),
        (404, b"not here"),
        (500, b'{"code": "X"}'),
        (503, b"[]"),
    ],
)
def test_what_is_no_server_of_ours_is_an_error_and_no_list(status, body):
    with stranger(status, body) as (base, _), keys_at(base) as keys, pytest.raises(StorageError):
        keys.list_keys()


def test_a_server_of_an_earlier_version_is_told_apart():
    body = json.dumps({"code": "NoSuchRoute", "message": "there is nothing"}).encode()
    with stranger(404, body) as (base, _), keys_at(base) as keys, pytest.raises(UnsupportedError, match="earlier"):
        keys.list_keys()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_signed_request_follows_no_server_to_another_one(status):
    with (
        stranger(200, b"{}") as (other, asked),
        stranger(status, b"", Location=f"{other}/x") as (base, first),
        keys_at(base) as keys,
        pytest.raises(StorageError, match=f"status {status}"),
    ):
        keys.list_keys()

    assert [path for path, _ in first] == ["/api/v1/keys"]
    assert asked == []


def test_no_secret_is_in_a_request_or_an_error():
    with (
        stranger(500, b"no") as (base, asked),
        keys_at(base, "hush") as keys,
        pytest.raises(StorageError) as caught,
    ):
        keys.list_keys()

    assert "hush" not in str(asked) + repr(caught.value) + repr(keys)


@pytest.mark.parametrize(
    ("endpoint", "exposed"),
    [
        ("http://127.0.0.1:9001", False),
        ("http://localhost:9001", False),
        ("https://storage.example", False),
        ("http://192.0.2.1:9001", True),
    ],
)
def test_a_way_without_tls_from_another_machine_is_told(endpoint, exposed):
    with StorageClient("127.0.0.1:1", "AK", "s", http_endpoint=endpoint) as client:
        assert AccessKeys(client).is_exposed() is exposed


def test_keys_are_changed_over_tls(tmp_path: Path):
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    files = {name: str(tmp_path / name) for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(files["ca"])
    certificate.cert_chain_pems[0].write_to_path(files["cert"])
    certificate.private_key_pem.write_to_path(files["key"])
    file = tmp_path / "keys.json"
    key, secret = add_key(file, [EVERYTHING])
    options = {"tls_cert": Path(files["cert"]), "tls_key": Path(files["key"])}
    with (
        local_server(http=True, keys=file, **options) as server,
        StorageClient(server.endpoint, key.id, secret, use_ssl=True, ca_file=files["ca"]) as client,
    ):
        assert [each["access_key"] for each in AccessKeys(client).list_keys()] == [key.id]
        assert server.http_endpoint.startswith("https://")
