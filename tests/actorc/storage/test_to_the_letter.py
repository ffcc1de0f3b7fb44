"""What the specification says in words, and upstream's frame of the client in code, of both clients."""

from __future__ import annotations

import asyncio
import builtins
import json
from datetime import datetime

import pytest

import actorc.storage
from actorc.storage import AsyncStorageClient, InvalidParameterError, NotFoundError, StorageClient, to_json
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server

MiB = 1 << 20


class Counting(MemoryEngine):
    """An engine that remembers of how many parts each object was made."""

    def __init__(self):
        super().__init__()
        self.parts = {}

    def complete_upload(self, bucket, key, upload_id, parts, *args, **options):
        self.parts[key] = len(parts)
        return super().complete_upload(bucket, key, upload_id, parts, *args, **options)


class Awaited:
    """The asynchronous client, each call awaited on a loop of its own."""

    def __init__(self, endpoint, cls=AsyncStorageClient):
        self._endpoint, self._cls = endpoint, cls

    def __getattr__(self, name):
        async def called(*args, **options):
            async with self._cls(self._endpoint) as client:
                return await getattr(client, name)(*args, **options)

        return lambda *args, **options: asyncio.run(called(*args, **options))


@pytest.fixture(scope="module")
def engine():
    return Counting()


@pytest.fixture(scope="module")
def server(engine):
    with local_server(engine) as running:
        yield running


@pytest.fixture(params=["blocking", "asynchronous"])
def client(server, request):
    if request.param == "asynchronous":
        yield Awaited(server.endpoint)
        return
    with StorageClient(server.endpoint) as it:
        yield it


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(65 * MiB)
    return path


@pytest.mark.parametrize("cls", [StorageClient, AsyncStorageClient])
def test_a_chunk_has_five_mebibytes_unless_told_otherwise(cls):
    assert 5 * MiB == cls.DEFAULT_CHUNK_SIZE


@pytest.mark.parametrize("chunk_size", [None, 0])
def test_a_false_chunk_size_means_the_default(engine, client, chunk_size):
    client.upload_from_stream("bucket", "stream", iter([bytes(MiB)] * 12), chunk_size=chunk_size)

    assert engine.parts["stream"] == 3


def test_a_false_chunk_size_means_the_default_of_a_file_that_is_sent_in_parts(engine, server, large):
    with server.client(local=False) as client:
        client.upload_file("bucket", "file", large, chunk_size=0)

    assert engine.parts["file"] == 13


def test_a_false_chunk_size_means_the_default_of_opened_objects(engine, server):
    with server.client() as client:
        with client.open_object("bucket", "opened", "wb", chunk_size=0) as file:
            file.write(bytes(12 * MiB))
        with client.open_object("bucket", "opened", chunk_size=0) as file:
            assert len(file.read()) == 12 * MiB

    assert engine.parts["opened"] == 3


@pytest.mark.parametrize("cls", [StorageClient, AsyncStorageClient])
def test_a_subclass_may_have_another_default(engine, server, cls):
    coarse = type("Coarse", (cls,), {"DEFAULT_CHUNK_SIZE": 6 * MiB})
    client = coarse(server.endpoint) if cls is StorageClient else Awaited(server.endpoint, coarse)
    client.upload_from_stream("bucket", "coarse", iter([bytes(MiB)] * 12))
    if cls is StorageClient:
        client.close()

    assert engine.parts["coarse"] == 2


@pytest.mark.parametrize("chunk_size", [-1, 1.5, "5", True])
def test_what_is_no_number_of_bytes_is_no_chunk_size(client, large, chunk_size):
    with pytest.raises(InvalidParameterError, match="chunk_size is an int of 1 or more"):
        client.upload_file("bucket", "key", large, chunk_size=chunk_size)


@pytest.mark.parametrize("cls", [StorageClient, AsyncStorageClient])
@pytest.mark.parametrize("endpoint", [None, ""])
def test_a_false_endpoint_means_the_default(monkeypatch, tmp_path, cls, endpoint):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STORAGE_ENDPOINT", raising=False)
    assert cls(endpoint, "", "").endpoint == "localhost:9000"

    monkeypatch.setenv("STORAGE_ENDPOINT", "storage.example:7000")
    assert cls(endpoint=endpoint, http_endpoint="").endpoint == "storage.example:7000"


def test_no_keys_at_most_are_no_keys(client):
    client.put_object("bucket", "key", b"value")
    nothing = client.list_objects("bucket", max_keys=0)

    assert (nothing["objects"], nothing["common_prefixes"]) == ([], [])
    assert (nothing["is_truncated"], nothing["next_page_token"]) == (False, None)


def test_no_uploads_at_most_are_no_uploads(client):
    client.create_multipart_upload("bucket", "key")
    nothing = client.list_multipart_uploads("bucket", max_uploads=0)

    assert (nothing["uploads"], nothing["is_truncated"], nothing["next_page_token"]) == ([], False, None)


@pytest.mark.parametrize("method", ["list_objects", "list_multipart_uploads"])
def test_nothing_of_a_bucket_that_is_not_there_is_an_error(client, method):
    with pytest.raises(NotFoundError):
        getattr(client, method)("nowhere", "", 0)


@pytest.mark.parametrize("most", [-1, None, "1", False])
def test_what_is_no_count_limits_no_listing(client, most):
    with pytest.raises(InvalidParameterError, match="max_keys is an int of 0 or more"):
        client.list_objects("bucket", "", most)


def imported_by_an_asterisk(module):
    names = {}
    exec(f"from {module} import *", names)
    return names


@pytest.mark.parametrize(
    "module",
    ["actorc.storage", "actorc.storage.errors", "lucas_storage", "lucas_storage.errors"],
)
def test_an_asterisk_hides_no_builtin(module):
    hidden = imported_by_an_asterisk(module).keys() & vars(builtins).keys() - {"__builtins__", "__name__", "__doc__"}

    assert {name for name in hidden if not name.startswith("__")} == set()


def test_the_error_of_the_specification_has_its_name_all_the_same():
    assert issubclass(actorc.storage.PermissionError, actorc.storage.StorageError)
    assert actorc.storage.StoragePermissionError is actorc.storage.PermissionError


def results_of(client, folder):
    """Yield what every method that returns a dict, or dicts, returns."""
    path = folder / "file"
    path.write_bytes(b"value")
    yield client.create_bucket("results", exist_ok=True)
    yield client.put_object("results", "key", b"value", metadata={"author": "ignis"}, ttl=60)
    yield client.upload_file("results", "file", path)
    yield client.upload_from_stream("results", "stream", iter([b"value"]))
    yield client.download_file("results", "key", folder / "copy", overwrite=True)
    yield client.head_object("results", "key")
    yield client.list_objects("results")
    yield client.copy_object("results", "key", "results", "copy")
    upload = client.create_multipart_upload("results", "parts")
    yield upload
    part = client.upload_part("results", "parts", upload["upload_id"], 1, b"value")
    yield part
    yield client.list_parts("results", "parts", upload["upload_id"])
    yield client.list_multipart_uploads("results")
    yield client.complete_multipart_upload("results", "parts", upload["upload_id"], [part])
    yield client.list_buckets()
    yield client.server_info()
    yield client.delete_objects("results", ["key", "file"])


def test_every_result_can_be_written_as_json(client, tmp_path):
    results = list(results_of(client, tmp_path))
    read = json.loads(json.dumps(results, default=to_json))

    assert len(read) == len(results)
    assert isinstance(results[5]["last_modified"], datetime)
    assert datetime.fromisoformat(read[5]["last_modified"]) == results[5]["last_modified"]
    assert datetime.fromisoformat(read[5]["expires_at"]) == results[5]["expires_at"]


def test_an_error_in_a_result_becomes_its_code_and_message():
    error = NotFoundError("gone", "bucket", "key", request_id="r1")

    assert json.loads(json.dumps({"errors": {"key": error}}, default=to_json))["errors"]["key"] == {
        "code": "NotFound",
        "message": "gone",
        "bucket": "bucket",
        "key": "key",
        "request_id": "r1",
        "retryable": False,
    }


def test_what_is_in_no_result_is_no_json():
    with pytest.raises(TypeError, match="an object of type bytes is in no result"):
        json.dumps({"data": b"value"}, default=to_json)
