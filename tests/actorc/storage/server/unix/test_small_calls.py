"""What a small call over the Unix socket costs, as the number of functions of Python that it calls."""

from __future__ import annotations

import sys
import threading
from collections import Counter

import pytest

from actorc.storage.testing import local_server

CALLS = 20
MOST = {"head_object": (108, 148), "get_object": (125, 155), "put_object": (178, 300)}
"""Functions on the client and on the server, some more than there are."""


@pytest.fixture
def counted():
    return Counter()


@pytest.fixture
def profile(counted):
    """Count the functions that each thread calls."""

    def profile(_frame, event, _argument):
        if event == "call":
            counted[threading.get_ident()] += 1

    return profile


@pytest.fixture
def client(tmp_path, profile):
    threading.setprofile(profile)
    try:
        with local_server(f"file://{tmp_path}/data") as server, server.client() as client:
            client.put_object("bucket", "key", bytes(4096))
            yield client
    finally:
        threading.setprofile(None)


@pytest.mark.parametrize(("method", "rest"), [("head_object", ()), ("get_object", ()), ("put_object", (bytes(4096),))])
def test_a_small_call_is_few_functions(client, counted, profile, method, rest):
    call = getattr(client, method)
    for _ in range(CALLS):
        call("bucket", "key", *rest)
    transport = client.server_info()["transport"]
    counted.clear()
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        for _ in range(CALLS):
            call("bucket", "key", *rest)
    finally:
        sys.setprofile(before)

    on_client, on_server = MOST[method]
    serving = [thread.ident for thread in threading.enumerate() if thread.name.startswith("storage-unix")]
    assert transport == "unix"
    assert counted[threading.get_ident()] <= CALLS * on_client
    assert 0 < sum(counted[thread] for thread in serving) <= CALLS * on_server
