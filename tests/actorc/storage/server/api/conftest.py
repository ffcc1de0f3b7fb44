"""Fixtures of the tests of the API: a server with keys, and requests that are signed."""

from __future__ import annotations

import json
import time

import pytest

from actorc.storage._auth import derived_key, sign_request
from actorc.storage._wire.token_signing import EVERYTHING, sign_token
from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server

ROOT = "/api/v1"


class Key:
    """An access key, and what is made with its secret."""

    def __init__(self, file, *allowed):
        self.file = file
        self.key, self.secret = add_key(file, [Statement.parse(text) for text in allowed])
        self.id = self.key.id

    def headers(self, method, target, *, seconds=0.0):
        """Return the headers that sign a request, made `seconds` from now."""
        now = int((time.time() + seconds) * 1000)
        return dict(sign_request(derived_key(self.secret), self.id, f"{method} {target}", b"", now))

    def token(self, scope=EVERYTHING, *, seconds=60.0):
        return sign_token(derived_key(self.secret), self.id, scope, int(time.time() + seconds))


@pytest.fixture(scope="module")
def open_server():
    with local_server(http=True) as server, server.client() as client:
        client.create_bucket("bucket")
        yield server


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory):
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def admin(keys_file):
    return Key(keys_file, "read,list,write,delete,presign,admin:*")


@pytest.fixture(scope="module")
def reader(keys_file):
    return Key(keys_file, "read,list:bucket/shown/")


@pytest.fixture(scope="module")
def closed_server(keys_file, admin, reader):
    with (
        local_server(http=True, keys=keys_file) as server,
        server.client(access_key=admin.id, secret_key=admin.secret) as client,
    ):
        client.create_bucket("bucket")
        client.create_bucket("secret")
        client.put_object("bucket", "shown/a", b"shown")
        client.put_object("bucket", "hidden/b", b"hidden")
        yield server


@pytest.fixture
def get(ask):
    """Make a request of the API; return the status and the JSON of the answer."""

    def answered(server, target, method="GET", key=None, token=None, **headers):
        if key is not None:
            headers |= key.headers(method, f"{ROOT}{target}" if "?" in target else f"{ROOT}{target}?")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        answer = ask(f"{server.http_endpoint}{ROOT}{target}", method, **headers)
        return answer.status, json.loads(answer.body) if answer.body else None

    return answered
