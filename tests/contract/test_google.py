"""The contract over obstore's client for Google Cloud Storage, and a double of that."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from actorc.storage.errors import PreconditionFailedError
from actorc.storage.rules import MiB
from actorc.storage.server.engines import open_engine
from actorc.storage.testing import local_server
from actorc.storage.testing.contract import EngineContract
from tests.contract.google_store import google_store
from tests.contract.test_remote import LACKS

pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")

from actorc.storage.server.engines.remote.publish import Publisher


@pytest.fixture
def client(monkeypatch):
    """A client of a server over an empty store, with a bucket in it."""
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "token")
    with (
        google_store() as address,
        local_server(f"gs://bucket/prefix?endpoint={address}") as server,
        server.client() as client,
    ):
        client.create_bucket("bucket")
        yield client


def test_conditions_are_judged_by_the_generation_of_the_store(client):
    first = client.put_object("bucket", "key", b"1", if_absent=True)
    second = client.put_object("bucket", "key", b"2", if_match=first["etag"])

    with pytest.raises(PreconditionFailedError):
        client.put_object("bucket", "key", b"3", if_match=first["etag"])
    assert {"if-absent", "if-match"} <= set(client.server_info()["capabilities"])
    assert client.head_object("bucket", "key")["etag"] == second["etag"]


def test_a_large_object_goes_in_parts(client, monkeypatch):
    monkeypatch.setattr(Publisher, "max_one_request", MiB)
    data = os.urandom(20 * MiB)

    client.put_object("bucket", "key", data)

    assert client.get_object("bucket", "key") == data


@pytest.mark.slow
class TestGoogle(EngineContract):
    lacks = LACKS
    faces = ("store",)

    @classmethod
    def setup_class(cls):
        super().setup_class()
        cls.stack = ExitStack()
        cls.stack.enter_context(pytest.MonkeyPatch.context()).setenv("GOOGLE_BEARER_TOKEN", "token")
        cls.address = cls.stack.enter_context(google_store())

    @classmethod
    def teardown_class(cls):
        cls.stack.close()

    def open_engine(self, directory):
        return open_engine(f"gs://bucket/{directory.name}?endpoint={self.address}")
