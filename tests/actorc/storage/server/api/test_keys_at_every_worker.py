"""Changes of access keys through the API: each worker follows them from its first call after the answer on."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from urllib.error import HTTPError

import psutil
import pytest

from actorc.storage import StorageClient, UnauthenticatedError
from actorc.storage.tokens import new_token

from .conftest import ROOT, Key

pytestmark = pytest.mark.slow

WORKERS = 3
SERVE = ("-m", "actorc.storage.server", "--listen", "127.0.0.1:0", "--workers", str(WORKERS), "--http", "127.0.0.1:0")
MOST = 400
"""Calls until each worker has answered one; the kernel spreads connections."""


class Served:
    """A server of several workers, and one who may do everything."""

    def __init__(self, process, file):
        self.process = process
        self.admin = Key(file, "read,list,write,delete,presign,admin:*")
        self.endpoint = self.api = ""

    def begin(self):
        self.endpoint = self.process.said("serving ").rpartition(" on ")[2]
        self.api = self.process.said("serving presigned URLs at ").rpartition(" at ")[2]

    def post(self, path, body):
        headers = {"Authorization": f"Bearer {self.admin.token()}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.api}{ROOT}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def everywhere(self, call, method):
        """Make a call over and over, each on a connection of its own, until every worker has answered it; return what
        came of all of them."""
        found, workers = set(), set()
        for _ in range(MOST):
            found.add(call())
            workers.add(re.search(r"\[(\d+)\]", self.process.said(f"server.access {method} "))[1])
            if len(workers) == WORKERS:
                return found
        raise AssertionError(f"only {workers} answered")

    def by_token(self, key_id, secret):
        token = new_token(key_id, secret, seconds=60)

        def call():
            request = urllib.request.Request(f"{self.api}{ROOT}/caller", headers={"Authorization": f"Bearer {token}"})
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return answer.status
            except HTTPError as error:
                with error:
                    return error.code

        return self.everywhere(call, "GET")

    def by_call(self, key_id, secret, *, local):
        def call():
            with StorageClient(self.endpoint, key_id, secret, local=local) as client:
                try:
                    client.list_buckets()
                except UnauthenticatedError:
                    return "refused"
                return "answered"

        return self.everywhere(call, "ListBuckets")

    def by_url(self, url):
        def call():
            try:
                with urllib.request.urlopen(url, timeout=20) as answer:
                    return answer.status
            except HTTPError as error:
                with error:
                    return error.code

        return self.everywhere(call, "GET")

    def is_let_in(self, key_id, secret):
        """Return whether every worker lets a key in, by a token, by TCP and by the Unix socket."""
        found = (
            self.by_token(key_id, secret) | self.by_call(key_id, secret, local=False) | self.by_socket(key_id, secret)
        )
        assert found in ({200, "answered"}, {401, "refused"})
        return 200 in found

    def by_socket(self, key_id, secret):
        """Likewise over the Unix socket, whose connections all workers accept from one queue."""
        return self.by_call(key_id, secret, local=True)


@pytest.fixture
def served(run, tmp_path):
    file = tmp_path / "keys.json"
    Key(file, "read:nothing")
    process = run(*SERVE, "--data", str(tmp_path / "data"), "--keys", str(file), "--auto-create-buckets")
    found = Served(process, file)
    found.begin()
    yield found
    process.kill(signal.SIGTERM)
    assert process.wait()[0] == 0


def test_a_key_works_at_once_and_disabled_stops_at_once(served):
    for _ in range(3):
        made = served.post("/keys", {"allow": ["read,list,presign:*"]})
        holder = made["key"]["id"], made["secret_key"]
        assert served.is_let_in(*holder)
        served.post(f"/keys/{holder[0]}/disable", {})
        assert not served.is_let_in(*holder)
        served.post(f"/keys/{holder[0]}/enable", {})
        assert served.is_let_in(*holder)


def test_a_secret_that_is_replaced_works_for_its_grace_and_no_longer(served):
    made = served.post("/keys", {"allow": ["read,list:*"]})
    name = made["key"]["id"]
    rotated = served.post(f"/keys/{name}/rotate", {"grace": 3600})
    assert served.is_let_in(name, made["secret_key"])
    assert served.is_let_in(name, rotated["secret_key"])
    last = served.post(f"/keys/{name}/rotate", {"grace": 0})

    assert not served.is_let_in(name, made["secret_key"])
    assert not served.is_let_in(name, rotated["secret_key"])
    assert served.is_let_in(name, last["secret_key"])


def test_a_url_ends_with_its_key(served):
    made = served.post("/keys", {"allow": ["read,list,write,presign:*"]})
    with StorageClient(served.endpoint, made["key"]["id"], made["secret_key"]) as client:
        client.put_object("bucket", "key", b"data")
        url = client.presign_url("bucket", "key")
    assert served.by_url(url) == {200}
    served.post(f"/keys/{made['key']['id']}/disable", {})

    assert served.by_url(url) == {403}


def test_a_worker_that_is_started_in_between_knows_the_keys_as_they_are(served):
    made = served.post("/keys", {"allow": ["read,list:*"]})
    gone = served.post("/keys", {"allow": ["read,list:*"]})
    served.post(f"/keys/{gone['key']['id']}/disable", {})
    psutil.Process(served.process.process.pid).children()[0].kill()
    served.process.said("serves again")

    assert served.is_let_in(made["key"]["id"], made["secret_key"])
    assert not served.is_let_in(gone["key"]["id"], gone["secret_key"])


def test_a_worker_that_is_started_while_the_file_is_gone_lets_nobody_in(run, tmp_path):
    process = run(*SERVE, "--data", str(tmp_path / "data"))
    endpoint = process.said("serving ").rpartition(" on ")[2]
    process.said("open to every process")
    file = tmp_path / "data" / "keys.json"
    Key(file, "read:*")
    # all notice it, those that nobody calls and the one that starts others
    for _ in range(WORKERS + 1):
        process.said("read 1 access keys")
    file.unlink()
    psutil.Process(process.process.pid).children()[0].kill()
    process.said("serves again")
    for _ in range(4 * WORKERS):
        with StorageClient(endpoint, local=False) as client, pytest.raises(UnauthenticatedError):
            client.list_buckets()
    process.kill(signal.SIGTERM)

    assert process.wait()[0] == 0


def test_a_grace_ends_by_itself(served):
    made = served.post("/keys", {"allow": ["read,list:*"]})
    rotated = served.post(f"/keys/{made['key']['id']}/rotate", {"grace": 2})
    until = rotated["key"]["former_until"]
    assert until is not None
    while served.by_token(made["key"]["id"], made["secret_key"]) != {401}:
        assert served.post(f"/keys/{made['key']['id']}/enable", {})["former_until"] in {until, None}

    assert served.by_token(made["key"]["id"], rotated["secret_key"]) == {200}
