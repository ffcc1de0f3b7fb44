from __future__ import annotations

import pytest

from actorc.storage import (
    AlreadyExistsError,
    BucketNotFoundError,
    InvalidParameterError,
    ObjectNotFoundError,
    PreconditionFailedError,
)

KiB, MiB = 1 << 10, 1 << 20
SIZES = [0, 10, 3 * MiB + 7]


@pytest.fixture
def other(storage):
    storage.create_bucket("other")
    return storage


def put(storage, data=b"data", **options):
    return storage.put_object("bucket", "key", data, **options)


@pytest.mark.parametrize("size", SIZES)
def test_a_copy_has_the_bytes_and_attributes_of_its_source(other, size):
    data = b"x" * size
    source = put(other, data, content_type="text/x-own", metadata={"a": "ä"})

    copy = other.copy_object("bucket", "key", "other", "new")

    head, original = other.head_object("other", "new"), other.head_object("bucket", "key")
    assert (copy["bucket"], copy["key"], copy["size"]) == ("other", "new", size)
    assert other.get_object("other", "new") == data
    assert [head[field] for field in ("crc32c", "content_type", "metadata")] == [
        original[field] for field in ("crc32c", "content_type", "metadata")
    ]
    assert (copy["generation"] > source["generation"], copy["etag"] != source["etag"]) == (True, True)


@pytest.mark.parametrize("size", SIZES)
def test_a_copy_outlives_its_source_and_the_other_way_round(other, size):
    data = b"x" * size
    put(other, data)
    for key in ("one", "two"):
        other.copy_object("bucket", "key", "other", key)
    other.delete_object("other", "one")
    other.delete_object("bucket", "key")

    assert other.get_object("other", "two") == data
    other.copy_object("other", "two", "bucket", "key")
    other.put_object("other", "two", b"replaced")
    assert other.get_object("bucket", "key") == data


def test_attributes_given_replace_those_of_the_source(storage):
    put(storage, content_type="text/plain", metadata={"a": "b"})

    storage.copy_object("bucket", "key", "bucket", "picture.png", metadata={"c": "d"})

    head = storage.head_object("bucket", "picture.png")
    assert (head["content_type"], head["metadata"]) == ("image/png", {"c": "d"})


def test_a_copy_onto_itself_replaces_the_attributes(storage):
    data = b"x" * 20 * KiB
    before = put(storage, data, metadata={"a": "b"})

    after = storage.copy_object("bucket", "key", "bucket", "key", content_type="text/x-new", metadata={})

    head = storage.head_object("bucket", "key")
    assert (head["content_type"], head["metadata"], head["generation"]) == ("text/x-new", {}, after["generation"])
    assert after["generation"] > before["generation"]
    assert storage.get_object("bucket", "key") == data
    storage.delete_object("bucket", "key")
    assert not storage.object_exists("bucket", "key")


def test_an_object_of_parts_is_copied(storage):
    upload_id = storage.create_multipart_upload("bucket", "key")["upload_id"]
    pieces = [b"a" * (MiB + 1), b"b" * 10, b"c" * 30 * KiB]
    parts = [storage.upload_part("bucket", "key", upload_id, number, data) for number, data in enumerate(pieces, 1)]
    storage.complete_multipart_upload("bucket", "key", upload_id, parts)

    storage.copy_object("bucket", "key", "bucket", "copy")
    storage.delete_object("bucket", "key")

    assert storage.get_object("bucket", "copy") == b"".join(pieces)
    assert storage.get_object("bucket", "copy", offset=MiB - 1, length=20) == b"aa" + b"b" * 10 + b"c" * 8


def test_the_source_can_be_bound_to_an_etag_and_a_generation(storage):
    old = put(storage, b"old")
    new = put(storage, b"new")

    for demand in ({"source_if_match": old["etag"]}, {"source_if_match": "e"}):
        with pytest.raises(PreconditionFailedError) as caught:
            storage.copy_object("bucket", "key", "bucket", "copy", **demand)
        assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
    with pytest.raises(ObjectNotFoundError):
        storage.copy_object("bucket", "key", "bucket", "copy", generation=new["generation"] + 1)
    storage.copy_object("bucket", "key", "bucket", "copy", source_if_match=new["etag"], generation=new["generation"])

    assert storage.get_object("bucket", "copy") == b"new"


@pytest.mark.needs("retention")
def test_a_replaced_generation_is_copied_while_it_is_kept(storage):
    old = put(storage, b"old" * 10_000)
    put(storage, b"new")

    storage.copy_object("bucket", "key", "bucket", "copy", generation=old["generation"])

    assert storage.get_object("bucket", "copy") == b"old" * 10_000


@pytest.mark.needs("if-absent", "if-match")
def test_conditions_of_a_copy_are_those_of_a_put(storage):
    put(storage)
    taken = storage.put_object("bucket", "taken", b"taken")

    with pytest.raises(AlreadyExistsError) as caught:
        storage.copy_object("bucket", "key", "bucket", "taken", if_absent=True)
    with pytest.raises(PreconditionFailedError):
        storage.copy_object("bucket", "key", "bucket", "taken", if_match="other")
    assert (caught.value.bucket, caught.value.key) == ("bucket", "taken")
    assert storage.get_object("bucket", "taken") == b"taken"

    storage.copy_object("bucket", "key", "bucket", "taken", if_match=taken["etag"])
    storage.copy_object("bucket", "key", "bucket", "free", if_absent=True)
    assert storage.get_object("bucket", "taken") == storage.get_object("bucket", "free") == b"data"


def test_what_is_missing_is_named(storage):
    with pytest.raises(ObjectNotFoundError) as caught:
        storage.copy_object("bucket", "missing", "bucket", "copy")
    assert (caught.value.bucket, caught.value.key) == ("bucket", "missing")

    put(storage)
    for names, missing in ((("none", "key", "bucket", "copy"), "none"), (("bucket", "key", "nowhere", "k"), "nowhere")):
        with pytest.raises(BucketNotFoundError) as caught:
            storage.copy_object(*names)
        assert caught.value.bucket == missing


@pytest.mark.rule
@pytest.mark.parametrize(
    "names", [("B", "key", "bucket", "k"), ("bucket", "", "bucket", "k"), ("bucket", "key", "bucket", "/k")]
)
def test_names_have_rules(storage, names):
    put(storage)

    with pytest.raises(InvalidParameterError):
        storage.copy_object(*names)
