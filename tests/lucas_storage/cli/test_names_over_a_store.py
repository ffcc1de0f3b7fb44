"""Commands and listings that need names and sizes alone make no request for each object of another store."""

from __future__ import annotations

import pytest

from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context
from lucas_storage.records import record_store

pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")

from obstore.store import MemoryStore

from actorc.storage.server.engines.remote import RemoteEngine
from actorc.storage.server.engines.remote.object_store import Backend
from actorc.storage.server.engines.remote.store_url import StoreUrl

OBJECTS = 40


class CountingStore(Backend):
    """A real store in memory, which counts the requests for the description of one object."""

    def __init__(self):
        memory = MemoryStore()
        super().__init__(lambda patience: memory, 5.0, probed=".buckets")
        self.looked_at = []

    def head(self, name):
        if name.startswith("my-bucket/"):
            self.looked_at.append(name)
        return super().head(name)


@pytest.fixture
def store():
    return CountingStore()


@pytest.fixture
def gateway(store):
    engine = RemoteEngine(StoreUrl(scheme="remote+memory", bucket=""), store, sweep_interval=None)
    with local_server(engine) as server, server.client() as client:
        items = [{"key": f"names/{number:02}.json", "data": b"data"} for number in range(OBJECTS)]
        client.put_objects("my-bucket", items)
        store.looked_at.clear()
        yield server


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("ls", "my-bucket/names/"), OBJECTS),
        (("ls", "-r", "my-bucket"), OBJECTS),
        (("ls", "my-bucket"), 1),
        (("du", "my-bucket"), 2),
        (("tree", "my-bucket"), OBJECTS + 4),
    ],
)
def test_commands_that_show_names_look_at_no_object(invoke, gateway, store, arguments, lines):
    result = invoke(*arguments, "--endpoint", gateway.endpoint)

    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == lines
    assert store.looked_at == []


@pytest.mark.parametrize("option", ["-l", "--json"])
def test_a_listing_with_more_looks_at_each(invoke, gateway, store, option):
    result = invoke("ls", option, "my-bucket/names/", "--endpoint", gateway.endpoint)

    assert "application/json" in result.stdout
    assert len(store.looked_at) == OBJECTS


def test_a_bucket_is_emptied_with_one_look_at_each_object(gateway, store):
    with gateway.client() as client:
        client.delete_bucket("my-bucket", force=True)

    assert len(store.looked_at) == OBJECTS
    assert len(set(store.looked_at)) == OBJECTS


def test_the_keys_of_records_are_listed_without_a_look(gateway, store, tmp_path):
    with storage_context(endpoint=gateway.endpoint, bucket="my-bucket", cache_dir=tmp_path), Storage() as storage:
        keys = list(record_store.keys(storage, record_store.NAMES))

    assert len(keys) == OBJECTS
    assert store.looked_at == []
