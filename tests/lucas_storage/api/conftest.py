"""Fixtures of the tests of the API's routes about runs and artifacts."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server
from actorc.storage.tokens import new_token
from lucas_storage import run, with_storage

BUCKET = "lucas-artifacts"


class Served:
    """A server with keys, its administrator's client, and tokens of callers with fewer rights."""

    def __init__(self, server, client, keys_file, admin):
        self.client = client
        self.endpoint = server.endpoint
        self.keys = admin
        self._base = f"{server.http_endpoint}/api/v1"
        self._keys_file = keys_file

    def token(self, *allowed):
        """Return a token of a new key."""
        key, secret = add_key(self._keys_file, [Statement.parse(text) for text in allowed])
        return new_token(key.id, secret, seconds=600)

    def ask(self, target, token=None, *, last_event_id=None):
        """Return the status and the bytes of an answer, by default for the administrator."""
        try:
            with self.stream(target, token, last_event_id) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def stream(self, target, token=None, last_event_id=None):
        """Return an open answer."""
        token = new_token(*self.keys, seconds=60) if token is None else token
        headers = {"Authorization": f"Bearer {token}"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        return urllib.request.urlopen(urllib.request.Request(self._base + target, headers=headers), timeout=20)

    def get(self, target, token=None):
        status, body = self.ask(target, token)
        return status, json.loads(body)

    def record(self, key, content):
        """Store a record as a stranger may."""
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.client.put_object(BUCKET, key, text, content_type="application/json")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    key, secret = add_key(file, [Statement.parse("read,list,write,delete,presign,admin:*")])
    with (
        local_server(http=True, keys=file) as server,
        server.client(access_key=key.id, secret_key=secret) as client,
    ):
        client.create_bucket(BUCKET)
        yield Served(server, client, file, (key.id, secret))


@pytest.fixture
def here(served, tmp_path, monkeypatch):
    """Let workflows of this test store their runs on the server."""
    access_key, secret_key = served.keys
    monkeypatch.setenv("STORAGE_ENDPOINT", served.endpoint)
    monkeypatch.setenv("STORAGE_ACCESS_KEY", access_key)
    monkeypatch.setenv("STORAGE_SECRET_KEY", secret_key)
    monkeypatch.setenv("LUCAS_STORAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY", "made-for-this-test-alone")
    return served


@pytest.fixture
def finished(here):
    """Run a workflow of two steps; return what the API tells of it."""
    from lucas import function, workflow

    @function
    @with_storage
    def make(count: int):
        return np.arange(count)

    @function
    @with_storage
    def total(values: np.ndarray):
        return int(values.sum())

    @workflow
    def adds(wf):
        return wf.call("total", {"values": wf.call("make", {"count": 100_000})})

    assert run(adds, {}) == 4_999_950_000
    return here.get("/runs/last")[1]
