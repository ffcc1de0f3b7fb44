"""The progress of transfers that are given none, for programs that show all of them."""

from __future__ import annotations

import io

import pytest

from actorc.storage import StorageClient


@pytest.fixture
def told(monkeypatch):
    """What the bars of all transfers were told, by their names."""
    found = {}

    def begun(bucket, key):
        found[bucket, key] = []
        return lambda done, total: found[bucket, key].append((done, total))

    monkeypatch.setattr(StorageClient, "default_progress", staticmethod(begun))
    return found


@pytest.mark.parametrize("local", [True, False], ids=["same machine", "network"])
def test_every_transfer_of_a_file_or_a_stream_tells_it(server, told, tmp_path, local):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    with server.client(local=local) as client:
        client.upload_file("a-bucket", "file", tmp_path / "file")
        client.upload_from_stream("a-bucket", "stream", io.BytesIO(b"x" * 1000))
        assert {key for _, key in told} == {"file", "stream"}
        told.clear()
        client.download_file("a-bucket", "file", tmp_path / "copy")
        client.download_to_stream("a-bucket", "stream", io.BytesIO())

    assert {key: calls[-1] for (_, key), calls in told.items()} == {"file": (1000, 1000), "stream": (1000, 1000)}


def test_a_transfer_with_a_progress_of_its_own_tells_that_one(server, told, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    own = []
    with server.client() as client:
        client.upload_file("a-bucket", "own", tmp_path / "file", progress=lambda *numbers: own.append(numbers))

    assert own[-1] == (1000, 1000)
    assert told == {}
