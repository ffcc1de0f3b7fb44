"""Every method, spoken to with generated messages alone."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire import call_headers
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotEmptyError,
    BucketNotFoundError,
    InvalidParameterError,
    InvalidRangeError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from actorc.storage.server import ServerOptions, StorageServer

MiB = 1 << 20


@pytest.mark.parametrize("method", [method.name for method in call_headers.SERVICE.methods])
def test_every_method_of_the_proto_answers(raw, method):
    described = call_headers.SERVICE.methods_by_name[method]
    request = GetMessageClass(described.input_type)()

    try:
        answer = raw(method, iter([request]) if described.client_streaming else request)
        list(answer if described.server_streaming else ())
        code = grpc.StatusCode.OK
    except grpc.RpcError as error:
        code = error.code()

    assert code in {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}


def test_the_server_tells_what_it_is(raw):
    info = raw("GetServerInfo", pb.GetServerInfoRequest())

    assert ("memory", MiB, MiB, True) == (
        info.engine,
        info.max_chunk_size,
        info.max_inline_size,
        info.auto_create_buckets,
    )


def test_buckets_come_and_go(raw, refused):
    created = raw("CreateBucket", pb.CreateBucketRequest(bucket="second")).bucket

    assert created == raw("HeadBucket", pb.HeadBucketRequest(bucket="second")).bucket
    assert created == raw("CreateBucket", pb.CreateBucketRequest(bucket="second", exist_ok=True)).bucket
    assert [info.name for info in raw("ListBuckets", pb.ListBucketsRequest()).buckets] == ["bucket", "second"]
    raw("DeleteBucket", pb.DeleteBucketRequest(bucket="second"))
    _, error = refused(raw, "HeadBucket", pb.HeadBucketRequest(bucket="second"))
    assert BucketNotFoundError is type(error)


def test_a_bucket_exists_once_and_stays_while_it_holds_objects(raw, refused):
    raw.put("bucket", "key", b"data")

    _, taken = refused(raw, "CreateBucket", pb.CreateBucketRequest(bucket="bucket"))
    _, full = refused(raw, "DeleteBucket", pb.DeleteBucketRequest(bucket="bucket"))

    assert [AlreadyExistsError, BucketNotEmptyError] == [type(taken), type(full)]


def test_a_put_is_read_back_with_everything_said_about_it(raw):
    info = raw.put("bucket", "a/b.csv", b"1,2\n", metadata={"who": "me"})

    assert raw.get("bucket", "a/b.csv") == b"1,2\n"
    assert info == raw("HeadObject", pb.HeadObjectRequest(bucket="bucket", key="a/b.csv")).object
    assert ("text/csv", {"who": "me"}, 4, crc32c(b"1,2\n")) == (
        info.content_type,
        dict(info.metadata),
        info.size,
        info.crc32c,
    )


def test_over_grpc_an_object_has_no_files(raw, refused):
    info = raw.put("bucket", "key", bytes(MiB))

    answer = raw("OpenObject", pb.OpenObjectRequest(bucket="bucket", key="key"))

    assert (answer.object, list(answer.segments)) == (info, [])
    _, error = refused(raw, "OpenObject", pb.OpenObjectRequest(bucket="bucket", key="missing"))
    assert ObjectNotFoundError is type(error)


def test_a_repeated_put_changes_nothing(raw):
    first = raw.put("bucket", "key", b"one", idempotency_key="once", condition=pb.Condition(if_absent=True))
    second = raw.put("bucket", "key", b"one", idempotency_key="once", condition=pb.Condition(if_absent=True))

    assert first == second


def test_a_read_begins_with_the_description(raw):
    data = bytes(range(256)) * 8192
    info = raw.put("bucket", "key", data[:MiB])
    answers = list(raw("ReadObject", pb.ReadObjectRequest(bucket="bucket", key="key")))

    assert info == answers[0].object
    assert data[:MiB] == b"".join(answer.chunk.data for answer in answers[1:])
    assert all(answer.chunk.crc32c == crc32c(answer.chunk.data) for answer in answers[1:])


def get(raw, **fields):
    return raw("GetObject", pb.GetObjectRequest(bucket="bucket", key="key", **fields))


def test_a_small_object_comes_in_one_answer(raw):
    info = raw.put("bucket", "key", b"0123456789")
    whole, part = get(raw), get(raw, range=pb.ByteRange(offset=8, length=5))

    assert [info, info] == [whole.object, part.object]
    assert [pb.Chunk(offset=0, data=b"0123456789", crc32c=crc32c(b"0123456789"))] == list(whole.chunks)
    assert [pb.Chunk(offset=8, data=b"89", crc32c=crc32c(b"89"))] == list(part.chunks)


def test_an_answer_says_that_the_bytes_are_too_many_for_it(raw, frames):
    data = bytes(range(256)) * 8192
    raw.write(frames.upload(data))
    most = MiB // 8
    last = len(data) - most
    ranges = [(0, None), (last - 1, None), (last, None), (MiB - 5, most), (MiB - 5, most + 1)]
    answers = [get(raw, range=pb.ByteRange(offset=offset, length=length)) for offset, length in ranges]

    assert [answer.too_large for answer in answers] == [True, True, False, False, True]
    for (offset, _), answer in zip(ranges, answers, strict=True):
        expected = b"" if answer.too_large else data[offset : offset + most]
        assert expected == b"".join(chunk.data for chunk in answer.chunks)
        assert all(chunk.crc32c == crc32c(chunk.data) for chunk in answer.chunks)


def test_ranges_are_sent_in_the_order_asked_for(raw):
    raw.put("bucket", "key", b"0123456789")
    ranges = [pb.ByteRange(offset=8), pb.ByteRange(offset=1, length=2), pb.ByteRange(offset=10)]

    answers = list(raw("ReadObject", pb.ReadObjectRequest(bucket="bucket", key="key", ranges=ranges)))

    assert [(answer.chunk.offset, answer.chunk.data) for answer in answers[1:]] == [(8, b"89"), (1, b"12")]


def test_a_read_is_refused_for_its_reason(raw, refused):
    raw.put("bucket", "key", b"data")

    def reason(**fields):
        return type(refused(raw, "ReadObject", pb.ReadObjectRequest(**{"bucket": "bucket", "key": "key"} | fields))[1])

    assert ObjectNotFoundError is reason(key="none")
    assert ObjectNotFoundError is reason(generation=1)
    assert BucketNotFoundError is reason(bucket="none")
    assert PreconditionFailedError is reason(if_match="other")
    assert InvalidRangeError is reason(ranges=[pb.ByteRange(offset=5)])
    assert InvalidParameterError is reason(ranges=[pb.ByteRange(offset=-5)])


def test_a_small_object_is_refused_for_the_same_reasons(raw, refused):
    raw.put("bucket", "key", b"data")

    def reason(**fields):
        return type(refused(raw, "GetObject", pb.GetObjectRequest(**{"bucket": "bucket", "key": "key"} | fields))[1])

    assert ObjectNotFoundError is reason(key="none")
    assert ObjectNotFoundError is reason(generation=1)
    assert BucketNotFoundError is reason(bucket="none")
    assert PreconditionFailedError is reason(if_match="other")
    assert InvalidRangeError is reason(range=pb.ByteRange(offset=5))
    assert InvalidParameterError is reason(range=pb.ByteRange(offset=-5))
    assert InvalidParameterError is reason(range=pb.ByteRange(length=-5))


def test_pages_follow_each_other(raw):
    for key in ("a", "b/1", "b/2", "c"):
        raw.put("bucket", key, b"")
    first = raw("ListObjects", pb.ListObjectsRequest(bucket="bucket", delimiter="/", page_size=2))
    second = raw(
        "ListObjects",
        pb.ListObjectsRequest(bucket="bucket", delimiter="/", page_size=2, page_token=first.next_page_token),
    )

    assert ([info.key for info in first.objects], list(first.common_prefixes)) == (["a"], ["b/"])
    assert (
        [info.key for info in second.objects],
        list(second.common_prefixes),
        second.next_page_token,
    ) == (["c"], [], "")


def test_deleting_what_is_not_there_succeeds(raw):
    raw.put("bucket", "key", b"data")
    request = pb.DeleteObjectRequest(bucket="bucket", key="key")

    assert [raw("DeleteObject", request).deleted for _ in range(2)] == [True, False]


def test_bytes_that_are_no_message_are_refused_with_a_reason(raw, refused):
    garbage = raw.channel.unary_unary(f"/{call_headers.SERVICE.full_name}/HeadObject")

    status, error = refused(garbage, b"\xff\xff\xff", timeout=20)

    assert grpc.StatusCode.INVALID_ARGUMENT is status.code()
    assert "HeadObjectRequest" in error.message


def test_a_method_of_a_later_version_is_unimplemented(raw, refused):
    status, _ = refused(raw.channel.unary_unary(f"/{call_headers.SERVICE.full_name}/Teleport"), b"", timeout=20)

    assert grpc.StatusCode.UNIMPLEMENTED is status.code()


@pytest.fixture
def probe(connect):
    def ask(endpoint, service=""):
        method = connect(endpoint).channel.unary_unary(
            "/grpc.health.v1.Health/Check", StringValue.SerializeToString, Int32Value.FromString
        )
        return method(StringValue(value=service), timeout=20)

    return ask


@pytest.mark.parametrize("service", ["", "ignis.storage.v1.StorageService"])
def test_a_probe_hears_that_the_server_serves(server, probe, service):
    assert probe(server.endpoint, service).value == 1


def test_a_probe_for_another_service_is_not_found(server, probe, refused):
    status, _ = refused(probe, server.endpoint, "other.Service")

    assert grpc.StatusCode.NOT_FOUND is status.code()


def test_a_taken_port_is_a_clear_error(server):
    options = ServerOptions(engine="memory://", listen=server.endpoint)

    with pytest.raises(InvalidParameterError, match="taken"):
        StorageServer(options).start()


def test_a_stopped_server_may_be_stopped_again():
    server = StorageServer(ServerOptions(engine="memory://", listen="127.0.0.1:0"))
    server.start()

    server.stop()
    server.stop()

    assert server.address
