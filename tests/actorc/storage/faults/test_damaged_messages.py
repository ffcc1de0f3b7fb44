"""What is damaged on its way, or is no answer to what was asked, is an error and a retry, and never believed."""

from __future__ import annotations

import asyncio
import threading
from random import Random

import grpc
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import (
    AsyncStorageClient,
    DamagedMessageError,
    NotFoundError,
    ObjectNotFoundError,
    RetryPolicy,
    StorageClient,
    StorageError,
)
from actorc.storage._rpc import call_errors
from actorc.storage._rpc.grpc.calls import call_failed
from actorc.storage._wire import call_headers
from actorc.storage._wire.message_checksum import HEADER, YES, Checks
from actorc.storage._wire.request_ids import REQUEST_ID_KEY
from actorc.storage.server.store.page_tokens import write_token
from actorc.storage.testing import local_server

MiB = 1 << 20
FEW = RetryPolicy(attempts=3, unreached_attempts=3, base=0.001, cap=0.002)
MANY = MiB // 6


@pytest.fixture(scope="module")
def server():
    with local_server("memory://") as running:
        yield running


@pytest.fixture(scope="module")
def direct(server):
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def originals(direct):
    """A bucket of pairs of objects that differ in all but the length of their names."""
    for name in ("wanted-", "another"):
        direct.put_object("originals", name, name.encode(), metadata={"author": "alice"})
        direct.put_object("originals", f"large/{name}", name.encode() * MANY)
    return list(direct.iter_objects("originals"))


@pytest.fixture
def full(direct, originals):
    """A bucket where these objects are, and nothing else."""
    direct.create_bucket("bucket")
    for info in originals:
        direct.copy_object("originals", info["key"], "bucket", info["key"])
    yield direct
    direct.delete_bucket("bucket", force=True)


@pytest.fixture(params=["checked", "unchecked"])
def behind(request, relay, full):
    """A client of a server that sends checksums of its messages, or of one of an earlier version."""
    if request.param == "unchecked":
        relay.headers[HEADER] = None
    with StorageClient(relay.endpoint, retry=FEW, idle_timeout=5) as client:
        yield client


unchecked = pytest.mark.parametrize("behind", ["unchecked"], indirect=True)
checked = pytest.mark.parametrize("behind", ["checked"], indirect=True)


def once(alter):
    """Alter the first message that `alter` would alter, and no other."""
    left, lock = [1], threading.Lock()

    def altered(direction, method, message):
        changed = alter(direction, method, message)
        with lock:
            if changed == message or not left:
                return message
            left.pop()
        return changed

    return altered


def replacing(direction, found, replacement):
    assert len(found) == len(replacement)
    return lambda way, _method, message: message.replace(found, replacement) if way == direction else message


def upload(client, key, data):
    upload_id = client.create_multipart_upload("bucket", key)["upload_id"]
    return upload_id, client.upload_part("bucket", key, upload_id, 1, data)


ASKED = {
    "get": lambda client: client.get_object("bucket", "wanted-") == b"wanted-",
    "get a range": lambda client: client.get_object("bucket", "large/wanted-", length=7) == b"wanted-",
    "get ranges": lambda client: client.get_ranges("bucket", "wanted-", [(0, 3), (3, 9)]) == [b"wan", b"ted-"],
    "stream": lambda client: b"".join(client.stream_object("bucket", "large/wanted-")) == b"wanted-" * MANY,
    "head": lambda client: client.head_object("bucket", "wanted-")["key"] == "wanted-",
    "exists": lambda client: client.object_exists("bucket", "wanted-"),
    "copy": lambda client: client.copy_object("bucket", "another", "bucket", "wanted-")["key"] == "wanted-",
    "delete many": lambda client: client.delete_objects("bucket", ["wanted-"])["deleted"] == ["wanted-"],
    "put": lambda client: client.put_object("bucket", "wanted-", b"new")["key"] == "wanted-",
    "put a stream": lambda client: client.put_object("bucket", "wanted-", b"n" * 2 * MiB)["key"] == "wanted-",
    "put many": lambda client: client.put_objects("bucket", {"wanted-": b"new"})["stored"][0]["key"] == "wanted-",
    "get many": lambda client: client.get_objects("bucket", ["wanted-"])["objects"][0]["data"] == b"wanted-",
    "list": lambda client: [each["key"] for each in client.list_objects("bucket", "wanted-")["objects"]] == ["wanted-"],
}


@pytest.mark.few(12)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("way", ["up", "down"])
def test_an_answer_about_another_object_is_not_taken_for_the_one_asked_for(relay, behind, asked, way):
    relay.alter = once(replacing(way, b"wanted-", b"another"))

    assert asked(behind)
    assert len(relay.calls) >= 2


@unchecked
def test_what_a_put_says_of_other_bytes_is_not_believed(relay, behind, direct):
    sizes = iter([MiB, 2 * MiB])

    def shortened(way, method, message):
        answer = pb.PutObjectResponse.FromString(message) if way == "down" and method == "PutObject" else None
        if answer is None or next(sizes, None) is None:
            return message
        answer.object.size += 1
        return answer.SerializeToString()

    relay.alter = shortened
    behind.put_object("bucket", "key", b"data")

    assert relay.calls == ["PutObject"] * 3
    assert direct.get_object("bucket", "key") == b"data"


@unchecked
def test_an_answer_that_stays_one_to_something_else_is_an_error(relay, behind):
    relay.alter = replacing("up", b"wanted-", b"another")

    with pytest.raises(DamagedMessageError, match="another name") as caught:
        behind.head_object("bucket", "wanted-")
    assert caught.value.retryable
    assert relay.calls == ["HeadObject"] * 3


CALLS = {
    "get": lambda client: client.get_object("bucket", "wanted-"),
    "stream": lambda client: b"".join(client.stream_object("bucket", "large/wanted-")),
    "head": lambda client: client.head_object("bucket", "wanted-"),
    "list": lambda client: client.list_objects("bucket"),
    "put": lambda client: client.put_object("bucket", "key", b"data"),
    "put a stream": lambda client: client.put_object("bucket", "key", b"d" * 2 * MiB),
    "buckets": lambda client: client.list_buckets(),
    "bucket": lambda client: client.bucket_exists("bucket"),
    "make a bucket": lambda client: client.create_bucket("bucket", exist_ok=True),
    "copy": lambda client: client.copy_object("bucket", "wanted-", "bucket", "copy"),
    "upload": lambda client: upload(client, "key", b"data"),
    "info": lambda client: client.server_info(),
}
DAMAGE = {"no message of this kind": b"\x0a\xff\xff", "not UTF-8": b"\x0a\x05\x0a\x03\xff\xfe\xfd", "nothing": None}


@pytest.mark.few(2)
@pytest.mark.parametrize(("what", "damage"), DAMAGE.items(), ids=DAMAGE)
def test_a_damaged_answer_is_an_error_of_ours_and_tried_again(relay, behind, what, damage):
    for name, call in CALLS.items():
        if (what, name) == ("nothing", "put a stream"):  # which is waited for as long as for a slow server
            continue
        relay.calls.clear()
        relay.alter = lambda way, _method, message: damage if way == "down" else message
        with pytest.raises(StorageError) as caught:
            call(behind)
        assert caught.value.retryable
        assert len(relay.calls) == 3

        relay.alter = once(relay.alter)
        call(behind)


def test_the_asynchronous_client_tries_again_as_well(relay, full):
    relay.alter = once(lambda way, _method, message: b"\x0a\xff\xff" if way == "down" else message)

    async def asked():
        async with AsyncStorageClient(relay.endpoint, retry=FEW) as client:
            return await client.get_object("bucket", "wanted-")

    assert asyncio.run(asked()) == b"wanted-"


def test_that_something_is_not_there_is_believed_with_its_reason_only(relay, behind):
    relay.alter = lambda way, _method, message: None if way == "status" else message

    with pytest.raises(DamagedMessageError, match="NOT_FOUND and without the reason"):
        behind.object_exists("bucket", "missing")
    with pytest.raises(DamagedMessageError):
        behind.get_object("bucket", "missing")
    assert relay.calls == ["HeadObject"] * 3 + ["GetObject"] * 3

    relay.alter = once(relay.alter)
    assert not behind.object_exists("bucket", "missing")


@unchecked
def test_a_reason_counts_only_for_its_own_status(relay, behind):
    def other(way, _method, message):
        if way != "status":
            return message
        status = pb.Status.FromString(message)
        status.code = grpc.StatusCode.PERMISSION_DENIED.value[0]
        return status.SerializeToString()

    relay.alter = other
    with pytest.raises(DamagedMessageError, match="that of another status"):
        behind.object_exists("bucket", "missing")

    relay.alter = once(other)
    with pytest.raises(ObjectNotFoundError):
        behind.get_object("bucket", "missing")


def test_a_reason_that_cannot_be_read_is_no_reason(relay, behind):
    relay.alter = lambda way, _method, message: b"\x0a\xff" if way == "status" else message

    with pytest.raises(DamagedMessageError) as caught:
        behind.head_object("bucket", "missing")
    assert not isinstance(caught.value, NotFoundError)


@unchecked
def test_a_listing_that_leads_back_ends(relay, behind):
    endless = {
        "ListObjects": pb.ListObjectsResponse(next_page_token=write_token("a", "bucket", "", "")),
        "ListMultipartUploads": pb.ListMultipartUploadsResponse(
            next_page_token=write_token("a\0b", "uploads", "bucket", "")
        ),
    }
    relay.alter = lambda way, method, message: endless[method].SerializeToString() if way == "down" else message
    for listing in (lambda: list(behind.iter_objects("bucket")), lambda: behind.list_multipart_uploads("bucket")):
        with pytest.raises(DamagedMessageError, match="leads back"):
            listing()


@unchecked
def test_parts_that_are_promised_and_do_not_come_end_a_listing(relay, behind):
    upload_id, _ = upload(behind, "key", b"data")
    relay.alter = lambda way, _method, message: (
        pb.ListPartsResponse(is_truncated=True).SerializeToString() if way == "down" else message
    )

    with pytest.raises(DamagedMessageError):
        behind.list_parts("bucket", "key", upload_id)


def test_a_request_that_reaches_another_method_is_not_carried_out(relay, behind, direct):
    relay.reroute["HeadObject"] = "DeleteObject"

    with pytest.raises(StorageError) as caught:
        behind.head_object("bucket", "wanted-")

    is_checked = HEADER not in relay.headers
    assert isinstance(caught.value, DamagedMessageError)
    assert direct.object_exists("bucket", "wanted-") == is_checked


@checked
@pytest.mark.parametrize("header", ["x-request-id", "x-attempt"])
def test_a_header_that_was_damaged_is_noticed(relay, behind, header):
    relay.headers[header] = "7"

    with pytest.raises(DamagedMessageError):
        behind.head_object("bucket", "wanted-")


@checked
def test_metadata_that_was_damaged_is_not_believed(relay, behind):
    relay.alter = once(replacing("down", b"alice", b"alicd"))

    assert behind.head_object("bucket", "wanted-")["metadata"] == {"author": "alice"}
    assert relay.calls == ["HeadObject"] * 2


@checked
def test_an_acknowledgement_that_says_nothing_is_checked_as_well(relay, behind, direct):
    relay.alter = lambda way, _method, message: b"" if way == "down" else message

    with pytest.raises(DamagedMessageError):
        behind.delete_object("bucket", "wanted-")


@checked
def test_a_server_that_sends_checksums_is_held_to_that(relay, behind):
    assert behind.object_exists("bucket", "wanted-")
    relay.alter = lambda way, _method, message: message[:-6] if way in {"down", "status"} else message
    relay.headers[HEADER] = YES

    for call in CALLS.values():
        with pytest.raises(DamagedMessageError):
            call(behind)
    with pytest.raises(DamagedMessageError):
        behind.object_exists("bucket", "missing")


@checked
def test_trailers_come_with_failures_alone_once_the_server_is_known_to_send_checksums(relay, behind):
    for _ in range(2):
        behind.head_object("bucket", "wanted-")
    with pytest.raises(ObjectNotFoundError):
        behind.head_object("bucket", "missing")

    assert relay.trailers == [[REQUEST_ID_KEY, HEADER], []]


def test_a_server_that_sends_trailers_unasked_is_understood(relay, full):
    relay.headers[call_headers.TRAILERS_KEY] = None
    with StorageClient(relay.endpoint, retry=FEW) as client:
        for _ in range(3):
            assert client.object_exists("bucket", "wanted-")

    assert relay.trailers == [[REQUEST_ID_KEY, HEADER]] * 3


def test_a_first_answer_without_its_checksum_is_not_believed_either(relay, full):
    relay.alter = lambda way, _method, message: message[:-6] if way == "down" else message

    for call in CALLS.values():
        with StorageClient(relay.endpoint, retry=FEW) as client, pytest.raises(DamagedMessageError):
            call(client)


@pytest.mark.parametrize("seal", [lambda checks, body: body, lambda checks, body: checks.seal(body, "answer")])
def test_a_client_that_says_it_sends_checksums_is_held_to_that(server, full, seal):
    path = f"/{call_headers.SERVICE.full_name}/DeleteObject"
    body = seal(Checks(path, "id", ""), pb.DeleteObjectRequest(bucket="bucket", key="wanted-").SerializeToString())
    with grpc.insecure_channel(server.endpoint) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path)(body, metadata=[(HEADER, YES), (REQUEST_ID_KEY, "id")])

    error = call_errors.error_from_call(
        call_failed(caught.value), "the server", lambda details: Checks(path, "id", "").open(details, "status")
    )
    assert DamagedMessageError is type(error)
    assert error.retryable
    assert full.object_exists("bucket", "wanted-")


@checked
def test_a_frame_of_bytes_with_any_bit_flipped_is_noticed_and_sent_again(relay, behind, thorough):
    random = Random(7)
    upload_id = behind.create_multipart_upload("bucket", "key")["upload_id"]
    behind.put_object("bucket", "small", b"some data")

    def flipping(direction, bits):
        def flip(way, method, message):
            if way != direction or method not in {"WriteObject", "ReadObject"} or b"some data" not in message:
                return message
            at = random.randrange(len(message) * 8)
            bits.add(at)
            return message[: at // 8] + bytes([message[at // 8] ^ 1 << at % 8]) + message[at // 8 + 1 :]

        return once(flip)

    flipped = set()
    for number in range(300 if thorough else 15):
        relay.alter = flipping("up", flipped)
        assert behind.upload_part("bucket", "key", upload_id, 1, b"some data")["size"] == 9
        relay.alter = flipping("down", flipped)
        assert b"".join(behind.stream_object("bucket", "small")) == b"some data", number
    assert len(flipped) > 20
