"""The handle of a step that is replayed: it reads the store, and what it writes lies aside."""

from __future__ import annotations

import io

import pytest

from lucas_storage.errors import ArtifactNotFoundError, NotFoundError, UnsupportedError
from lucas_storage.replay.aside import Aside
from lucas_storage.storage import handles

BUCKET = "test-objects"


@pytest.fixture
def handle(storage):
    storage.put_objects(BUCKET, {"b": b"stored", "d": b"stored as well"})
    with Aside() as aside:
        yield aside.handle("default")


@pytest.fixture(autouse=True)
def _nothing_is_written(storage, handle):
    before = sorted((head["key"], head["generation"]) for head in storage.iter_objects(BUCKET))
    yield
    assert sorted((head["key"], head["generation"]) for head in storage.iter_objects(BUCKET)) == before


def test_what_is_stored_is_read(handle):
    target = io.BytesIO()
    handle.download_to_stream(BUCKET, "b", target)

    assert (
        handle.get_object(BUCKET, "b") == b"".join(handle.stream_object(BUCKET, "b")) == target.getvalue() == b"stored"
    )
    assert handle.object_exists(BUCKET, "b")
    with handle.open_object(BUCKET, "b") as file:
        assert file.read() == b"stored"


def test_what_is_written_is_read_in_place_of_what_is_stored(handle, tmp_path):
    (tmp_path / "file").write_bytes(b"from a file")
    handle.put_object(BUCKET, "b", b"new")
    handle.upload_file(BUCKET, "a", tmp_path / "file")
    handle.upload_from_stream(BUCKET, "c", io.BytesIO(b"from a stream"))
    with handle.open_object(BUCKET, "e", "wb") as file:
        file.write(b"from an open file")

    found = {key: handle.get_object(BUCKET, key) for key in "abcde"}

    assert list(found.values()) == [b"from a file", b"new", b"from a stream", b"stored as well", b"from an open file"]
    assert [head["key"] for head in handle.iter_objects(BUCKET)] == list("abcde")
    assert {item["key"]: item["data"] for item in handle.get_objects(BUCKET, "abcde")["objects"]} == found


def test_conditions_are_those_of_what_is_there(handle):
    etag = handle.head_object(BUCKET, "b")["etag"]
    results = handle.put_objects(
        BUCKET,
        [
            {"key": "b", "data": b"x", "if_absent": True},
            {"key": "d", "data": b"x", "if_match": etag},
            {"key": "e", "data": b"x", "if_absent": True},
        ],
    )

    assert {key: type(error).__name__ for key, error in results["errors"].items()} == {
        "b": "AlreadyExistsError",
        "d": "PreconditionFailedError",
    }
    handle.put_object(BUCKET, "b", b"y", if_match=etag)
    assert [handle.get_object(BUCKET, key) for key in "bde"] == [b"y", b"stored as well", b"x"]


def test_removing_drops_what_was_written_and_nothing_else(handle):
    handle.put_object(BUCKET, "a", b"new")
    handle.delete_object(BUCKET, "a")
    handle.delete_objects(BUCKET, ["b"])

    assert not handle.object_exists(BUCKET, "a")
    assert handle.get_object(BUCKET, "b") == b"stored"


def test_what_cannot_be_kept_aside_is_refused(handle):
    with pytest.raises(UnsupportedError, match="changes nothing in the store"):
        handle.copy_object(BUCKET, "b", BUCKET, "c")
    with pytest.raises(UnsupportedError, match="changes nothing in the store"):
        handle.delete_bucket(BUCKET)


def test_nothing_is_left_at_the_end(storage):
    with Aside() as aside, handles(aside.handle):
        ref = aside.handle("default").put(bytes(100_000))
        assert aside.handle("default").get(ref) == bytes(100_000)

    with pytest.raises((ArtifactNotFoundError, NotFoundError)):
        storage.stat(ref)
