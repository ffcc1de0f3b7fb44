"""Objects that are replaced while they are read through a gateway, whose store keeps no former generations."""

from __future__ import annotations

import pytest

from actorc.storage import StorageClient
from actorc.storage.errors import NetworkError, ObjectNotFoundError
from actorc.storage.rules import MiB
from actorc.storage.testing import local_server

pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")

from actorc.storage.server.engines.remote import RemoteEngine
from actorc.storage.server.engines.remote.store_url import StoreUrl

from .test_remote_engine import Store

FIRST, SECOND = b"a" * (3 * MiB), b"b" * (2 * MiB)


class BreakingStore(Store):
    """Breaks its connection a MiB into a large answer, `breaks` times, after `act` was called."""

    breaks = 0

    def get(self, name, *args, **options):
        found = super().get(name, *args, **options)
        return found if found is None else found._replace(body=self._breaking(found.body))

    def _breaking(self, body):
        sent = 0
        for piece in body:
            yield piece
            sent += len(piece)
            if self.breaks and sent >= MiB:
                self.breaks -= 1
                self.act()
                raise NetworkError("the connection to the store broke")


@pytest.fixture
def store():
    return BreakingStore()


@pytest.fixture
def client(store):
    address = StoreUrl(scheme="remote+memory", bucket="", root="")
    with local_server(RemoteEngine(address, store, sweep_interval=None)) as server, server.client() as client:
        client.create_bucket("bucket")
        client.put_object("bucket", "key", FIRST)
        store.act = lambda: client.put_object("bucket", "key", SECOND)
        yield client


@pytest.fixture
def parallel(monkeypatch):
    monkeypatch.setattr(StorageClient, "PARALLEL_FROM", MiB)


@pytest.mark.parametrize("large", [False, True])
def test_a_download_begins_anew(store, client, tmp_path, request, large):
    if large:
        request.getfixturevalue("parallel")
    told = []
    store.breaks = 1

    result = client.download_file("bucket", "key", tmp_path / "file", progress=lambda done, _total: told.append(done))

    assert (tmp_path / "file").read_bytes() == SECOND
    assert result["size"] == len(SECOND)
    assert told == sorted(told)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_download_of_what_is_replaced_again_and_again_says_so(store, client, tmp_path):
    store.breaks = 100

    with pytest.raises(ObjectNotFoundError, match="was replaced or deleted while it was read") as error:
        client.download_file("bucket", "key", tmp_path / "file")

    assert (error.value.bucket, error.value.key) == ("bucket", "key")
    assert not any(tmp_path.iterdir())


def test_whole_objects_are_read_anew(store, client):
    store.breaks = 1

    assert client.get_object("bucket", "key") == SECOND


def test_a_stream_of_which_bytes_were_taken_says_that_the_object_was_replaced(store, client):
    store.breaks = 1
    taken = []

    with pytest.raises(ObjectNotFoundError, match="was replaced or deleted while it was read"):
        taken.extend(client.stream_object("bucket", "key"))

    assert set(b"".join(taken)) == {ord("a")}


def test_what_was_never_there_is_missing_as_before(client, tmp_path):
    for read in (
        lambda: list(client.stream_object("bucket", "other")),
        lambda: client.download_file("bucket", "other", tmp_path / "file"),
    ):
        with pytest.raises(ObjectNotFoundError, match="does not exist"):
            read()
