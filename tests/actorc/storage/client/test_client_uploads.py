"""What the client adds to multipart uploads and buckets: pages, batches, and checks before anything is sent."""

from __future__ import annotations

import pytest

from actorc.storage import BucketNotEmptyError, InvalidParameterError, NotFoundError, StorageClient
from actorc.storage._transfer import stream_upload

MiB = 1 << 20


@pytest.fixture
def client(server):
    with StorageClient(server.endpoint) as it:
        it.create_bucket("bucket", exist_ok=True)
        yield it
        it.delete_bucket("bucket", force=True)


@pytest.mark.thorough
def test_more_keys_than_a_batch_are_deleted_in_batches(client):
    for number in range(1003):
        client.put_object("bucket", f"{number:04}", b"")
    answer = client.delete_objects("bucket", (f"{number:04}" for number in range(1002)))

    assert (len(answer["deleted"]), answer["errors"]) == (1002, {})
    assert [found["key"] for found in client.iter_objects("bucket")] == ["1002"]


def test_nothing_is_deleted_by_an_empty_list_and_one_key_is_no_list(client):
    assert client.delete_objects("bucket", []) == {"deleted": [], "errors": {}}
    with pytest.raises(InvalidParameterError, match="brackets"):
        client.delete_objects("bucket", "key")


def test_a_wrong_key_among_many_is_found_before_any_is_deleted(client):
    client.put_object("bucket", "key", b"x")
    with pytest.raises(InvalidParameterError):
        client.delete_objects("bucket", ["key", "/wrong"])

    assert client.object_exists("bucket", "key")


@pytest.mark.thorough
def test_a_bucket_goes_with_all_that_is_in_it_if_told_so(client):
    for number in range(1001):
        client.put_object("doomed", f"{number:04}", b"")
    client.create_multipart_upload("doomed", "under-way")
    seen = []
    with pytest.raises(BucketNotEmptyError):
        client.delete_bucket("doomed")
    client.delete_bucket("doomed", force=True, progress=lambda *step: seen.append(step))

    assert seen == [(1000, None), (1001, None)]
    assert not client.bucket_exists("doomed")


def test_a_bucket_that_is_not_there_cannot_be_forced(client):
    with pytest.raises(NotFoundError):
        client.delete_bucket("missing", force=True)


def test_parts_of_any_source_make_an_object(client):
    upload = client.create_multipart_upload("bucket", "key", metadata={"a": "b"})
    name = ("bucket", "key", upload["upload_id"])
    parts = [
        client.upload_part(*name, 2, iter([b"d", b"ef"])),
        client.upload_part(*name, 1, bytearray(b"abc")),
    ]

    assert client.list_parts(*name) == parts[::-1]
    put = client.complete_multipart_upload(*name, client.list_parts(*name))
    assert (client.get_object("bucket", "key"), put["size"]) == (b"abcdef", 6)


def test_a_source_of_a_part_that_raises_is_raised_unchanged(client):
    def source():
        yield b"x"
        raise ZeroDivisionError

    upload = client.create_multipart_upload("bucket", "key")
    with pytest.raises(ZeroDivisionError):
        client.upload_part("bucket", "key", upload["upload_id"], 1, source())
    assert client.list_parts("bucket", "key", upload["upload_id"]) == []


def test_uploads_under_way_are_listed_in_pages(client):
    ids = [client.create_multipart_upload("bucket", f"{number}")["upload_id"] for number in range(5)]
    some = client.list_multipart_uploads("bucket", max_uploads=3)
    rest = client.list_multipart_uploads("bucket", max_uploads=3, page_token=some["next_page_token"])

    assert [upload["upload_id"] for upload in some["uploads"] + rest["uploads"]] == ids
    assert (some["is_truncated"], rest["is_truncated"], rest["next_page_token"]) == (True, False, None)


@pytest.mark.parametrize("parts", [[1], [{"part_number": 1}], [{"part_number": 0, "etag": "x"}], [(1, "x")], None])
def test_parts_that_are_none_are_refused(client, parts):
    with pytest.raises(InvalidParameterError, match="part"):
        client.complete_multipart_upload("bucket", "key", "id", parts)


@pytest.mark.parametrize("upload_id", ["", None, 7])
def test_an_upload_id_that_is_none_is_refused(client, upload_id):
    with pytest.raises(InvalidParameterError, match="create_multipart_upload"):
        client.list_parts("bucket", "key", upload_id)


def test_a_copy_keeps_attributes_unless_one_is_given(client):
    client.put_object("bucket", "a", b"x", content_type="x/y", metadata={"k": "v"})
    client.copy_object("bucket", "a", "bucket", "kept.csv")
    client.copy_object("bucket", "a", "bucket", "new.csv", metadata={"other": "1"})
    kept, new = client.head_object("bucket", "kept.csv"), client.head_object("bucket", "new.csv")

    assert (kept["content_type"], kept["metadata"]) == ("x/y", {"k": "v"})
    assert (new["content_type"], new["metadata"]) == ("text/csv", {"other": "1"})


@pytest.mark.parametrize("ttl", [0, -1, "1", 1.5])
def test_a_ttl_that_makes_no_sense_is_refused(client, ttl):
    with pytest.raises(InvalidParameterError, match="ttl"):
        client.put_object("bucket", "key", b"", ttl=ttl)


@pytest.mark.parametrize("size", [7, 8, 9])
def test_the_last_part_takes_what_is_left_of_a_stream(client, monkeypatch, size):
    monkeypatch.setattr(stream_upload, "MAX_PARTS", 3)
    content = bytes(range(256)) * (size * MiB // 256)
    pieces = (content[start : start + 300_000] for start in range(0, len(content), 300_000))
    put = client.upload_from_stream("bucket", "long", pieces, chunk_size=MiB)

    assert client.get_object("bucket", "long") == content
    assert put["size"] == len(content)


def test_a_file_object_that_has_no_last_part_to_grow_in_says_so(client, monkeypatch):
    monkeypatch.setattr(stream_upload, "MAX_PARTS", 3)
    file = client.open_object("bucket", "long", "wb", chunk_size=MiB)
    with file, pytest.raises(InvalidParameterError, match="piece by piece"):
        file.write(bytes(5 * MiB))

    assert client.list_multipart_uploads("bucket")["uploads"] == []
