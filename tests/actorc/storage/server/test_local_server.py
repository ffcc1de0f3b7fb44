"""What users' tests rely on."""

from __future__ import annotations

import os
import socket

import pytest

from actorc.storage.errors import BucketNotFoundError, NotFoundError
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server


def test_a_client_of_a_local_server_works_at_once():
    with local_server() as server, server.client() as client:
        client.put_object("bucket", "key", b"value")

        assert client.get_object("bucket", "key") == b"value"


def test_the_environment_is_left_alone():
    before = dict(os.environ)

    with local_server():
        assert before == dict(os.environ)


def test_two_servers_share_nothing():
    with local_server() as one, local_server() as two, one.client() as first, two.client() as second:
        first.put_object("bucket", "key", b"value")

        with pytest.raises(NotFoundError):
            second.get_object("bucket", "key")


def test_options_reach_the_server():
    with (
        local_server(auto_create_buckets=False) as server,
        server.client() as client,
        pytest.raises(BucketNotFoundError),
    ):
        client.put_object("bucket", "key", b"value")


def test_a_data_directory_keeps_its_objects(tmp_path):
    for _ in range(2):
        with local_server(tmp_path.as_uri()) as server, server.client() as client:
            client.put_object("bucket", "key", b"value")

    with local_server(tmp_path.as_uri()) as server, server.client() as client:
        assert client.get_object("bucket", "key") == b"value"


def test_an_engine_of_the_callers_own_is_served():
    engine = MemoryEngine()
    engine.create_bucket("mine")

    with local_server(engine) as server, server.client() as client:
        assert [bucket["name"] for bucket in client.list_buckets()] == ["mine"]


def test_the_port_is_free_again_afterwards():
    with local_server() as server:
        pass

    host, port = server.endpoint.split(":")
    socket.create_server((host, int(port))).close()
