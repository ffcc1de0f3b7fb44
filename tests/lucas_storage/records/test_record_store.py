"""Records over a store of objects, whose metadata hold less than those of a directory."""

from __future__ import annotations

import pytest

from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context
from lucas_storage.records import record_store


@pytest.fixture(scope="module")
def gateway():
    pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")
    with local_server("remote+memory://") as server:
        yield server.endpoint


@pytest.mark.parametrize("unit", ["a", '"', "\\", " ", '", "', "\x00", "\n"])
def test_a_record_of_any_length_and_text_is_stored_through_a_gateway(gateway, tmp_path, unit):
    lengths = {0, 1, *range(200, 1800, 23)}
    with storage_context(endpoint=gateway, bucket="bucket", cache_dir=tmp_path), Storage() as storage:
        contents = {f"runs/{length}.json": {"text": unit * (length // len(unit))} for length in lengths}
        record_store.write_all([record_store.prepare(storage, *each) for each in contents.items()], 60)
        found = {key: record_store.read(storage, key).content for key in contents}

    assert found == contents
