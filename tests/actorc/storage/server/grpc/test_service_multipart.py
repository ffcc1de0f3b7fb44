"""Parts, copies, batches and times to live as they are on the wire."""

from __future__ import annotations

import time

import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    InvalidParameterError,
    ObjectNotFoundError,
    UploadNotFoundError,
)
from actorc.storage.testing import local_server

MiB = 1 << 20


@pytest.fixture
def begin(raw):
    def begun(key="key", **fields):
        request = pb.CreateMultipartUploadRequest(bucket="bucket", key=key, **fields)
        return raw("CreateMultipartUpload", request).upload_id

    return begun


def completion(upload_id, parts, **fields):
    return pb.CompleteMultipartUploadRequest(
        bucket="bucket",
        key="key",
        upload_id=upload_id,
        parts=[pb.CompletedPart(number=part.number, etag=part.etag) for part in parts],
        **fields,
    )


def listed(raw, upload_id, **fields):
    return raw("ListParts", pb.ListPartsRequest(bucket="bucket", key="key", upload_id=upload_id, **fields))


def test_a_part_rides_an_upload_and_is_answered_by_its_description(raw, frames, begin):
    upload_id = begin(content_type="text/x-own", metadata={"a": "b"})
    data = bytes(MiB + 7)

    done = raw.write(frames.upload(data, part=pb.Part(upload_id=upload_id, number=3)))

    part = done.part_done
    assert (done.WhichOneof("frame"), part.number, part.size, part.crc32c) == (
        "part_done",
        3,
        len(data),
        crc32c(data),
    )
    made = raw("CompleteMultipartUpload", completion(upload_id, [part])).object
    assert (made.etag, made.content_type, dict(made.metadata)) == (
        raw("HeadObject", pb.HeadObjectRequest(bucket="bucket", key="key")).object.etag,
        "text/x-own",
        {"a": "b"},
    )
    assert raw.get("bucket", "key") == data


def test_a_part_of_no_upload_is_refused_before_its_bytes_come(raw, frames, refused):
    part = pb.Part(upload_id="none", number=1)

    _, error = refused(raw.write, frames.upload(b"data", part=part))

    assert (type(error), error.bucket, error.key) == (UploadNotFoundError, "bucket", "key")


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_a_part_number_has_bounds(raw, frames, refused, begin, number):
    part = pb.Part(upload_id=begin(), number=number)

    _, error = refused(raw.write, frames.upload(b"data", part=part))

    assert type(error) is InvalidParameterError


def test_a_part_whose_stream_ends_early_is_not_stored(raw, frames, refused, begin):
    upload_id = begin()
    opening, chunk, *_ = frames.upload(b"data", part=pb.Part(upload_id=upload_id, number=1))

    refused(raw.write, [opening, chunk])

    assert not listed(raw, upload_id).parts


def test_parts_come_in_pages(raw, frames, begin):
    upload_id = begin()
    for number in (1, 2, 5):
        raw.write(frames.upload(b"data", part=pb.Part(upload_id=upload_id, number=number)))

    pages = [listed(raw, upload_id, page_size=2), listed(raw, upload_id, page_size=2, after_number=2)]

    assert [([part.number for part in page.parts], page.is_truncated) for page in pages] == [
        ([1, 2], True),
        ([5], False),
    ]


def test_an_upload_keeps_the_condition_of_its_beginning(raw, frames, begin, refused):
    upload_id = begin(condition=pb.Condition(if_absent=True))
    part = raw.write(frames.upload(b"data", part=pb.Part(upload_id=upload_id, number=1))).part_done
    raw.put("bucket", "key", b"taken")

    _, error = refused(raw, "CompleteMultipartUpload", completion(upload_id, [part]))

    assert type(error) is AlreadyExistsError


def test_a_completion_may_be_repeated_with_its_key(raw, frames, begin, refused):
    upload_id = begin()
    part = raw.write(frames.upload(b"data", part=pb.Part(upload_id=upload_id, number=1))).part_done
    request = completion(upload_id, [part], idempotency_key="once")

    assert raw("CompleteMultipartUpload", request) == raw("CompleteMultipartUpload", request)
    _, error = refused(raw, "CompleteMultipartUpload", completion(upload_id, [part]))
    assert type(error) is UploadNotFoundError


def test_a_copy_takes_attributes_only_if_they_are_set(raw):
    raw.put("bucket", "key", b"data", content_type="text/x-own", metadata={"a": "b"})
    names = {"source_bucket": "bucket", "source_key": "key", "bucket": "bucket"}

    same = raw("CopyObject", pb.CopyObjectRequest(key="same", **names)).object
    new = raw("CopyObject", pb.CopyObjectRequest(key="new.csv", attributes=pb.Attributes(), **names)).object

    assert (same.content_type, dict(same.metadata)) == ("text/x-own", {"a": "b"})
    assert (new.content_type, dict(new.metadata)) == ("text/csv", {})


def test_a_batch_answers_for_each_key(raw):
    raw.put("bucket", "key", b"data")
    request = pb.DeleteObjectsRequest(bucket="bucket", keys=["key", "missing", "/no"], idempotency_key="once")

    first, again = raw("DeleteObjects", request), raw("DeleteObjects", request)

    assert [(result.key, result.deleted, result.HasField("failed")) for result in first.results] == [
        ("key", True, False),
        ("missing", False, False),
        ("/no", False, True),
    ]
    assert first == again


def test_a_batch_has_a_thousand_keys_at_most(raw, refused):
    _, error = refused(raw, "DeleteObjects", pb.DeleteObjectsRequest(bucket="bucket", keys=["key"] * 1001))

    assert type(error) is InvalidParameterError


def test_a_time_to_live_is_told_as_the_moment_it_ends(raw, frames):
    put = raw.put("bucket", "key", b"data", ttl_seconds=60)
    written = raw.write(frames.upload(b"data", ttl_seconds=60)).done
    stays = raw.put("bucket", "key", b"data")

    assert put.expires_us == put.last_modified_us + 60_000_000
    assert written.expires_us == written.last_modified_us + 60_000_000
    assert stays.expires_us == 0


def test_the_server_tells_its_time(raw):
    before = time.time_ns() // 1000

    info = raw("GetServerInfo", pb.GetServerInfoRequest())

    assert before <= info.time_us <= time.time_ns() // 1000


def test_copies_and_parts_make_the_buckets_they_go_to_and_no_others(connect, refused):
    with local_server() as server:
        raw = connect(server.endpoint)
        raw.put("bucket", "key", b"data")
        names = {"source_bucket": "bucket", "source_key": "key", "bucket": "new-bucket", "key": "key"}
        raw("CopyObject", pb.CopyObjectRequest(**names))
        raw("CreateMultipartUpload", pb.CreateMultipartUploadRequest(bucket="parts-bucket", key="key"))
        missing = [
            refused(raw, "CopyObject", pb.CopyObjectRequest(**names | {"source_bucket": "no-bucket"})),
            refused(raw, "CopyObject", pb.CopyObjectRequest(**dict.fromkeys(names, "none"))),
            refused(raw, "CopyObject", pb.CopyObjectRequest(**names | {"source_key": "no", "bucket": "other-bucket"})),
        ]
        buckets = [info.name for info in raw("ListBuckets", pb.ListBucketsRequest()).buckets]

    assert [(type(error), error.bucket) for _, error in missing] == [
        (BucketNotFoundError, "no-bucket"),
        (BucketNotFoundError, "none"),
        (ObjectNotFoundError, "bucket"),
    ]
    assert buckets == ["bucket", "new-bucket", "parts-bucket"]
