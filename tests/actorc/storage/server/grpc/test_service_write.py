"""The protocol of uploads: what is stored, what is not, and that the reason always arrives."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import psutil
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._rpc import call_errors
from actorc.storage._rpc.grpc.calls import call_failed
from actorc.storage._wire import call_headers, error_status
from actorc.storage.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    DamagedMessageError,
    IntegrityError,
    InvalidParameterError,
    ObjectNotFoundError,
)
from actorc.storage.testing import local_server

MiB = 1 << 20
DATA = os.urandom(3 * MiB + 17)


@pytest.fixture
def absent(raw, refused):
    def is_absent(key="key"):
        _, error = refused(raw, "HeadObject", pb.HeadObjectRequest(bucket="bucket", key=key))
        return type(error) is ObjectNotFoundError

    return is_absent


def answers(raw, frames, **options):
    """Make an upload; return its answers and the error it ended with."""
    heard = []
    try:
        heard.extend(raw("WriteObject", iter(frames), **options))
    except grpc.RpcError as error:
        return heard, error
    return heard, None


def refusal(raw, frames, **options):
    """Make an upload that fails; return the failure told in band and the one told by the status."""
    call = raw("WriteObject", iter(frames), **options)
    failed = None
    try:
        for answer in call:
            failed = error_status.error_from_status(answer.failed) if answer.WhichOneof("frame") == "failed" else failed
    except grpc.RpcError as error:
        return failed, call_errors.error_from_call(call_failed(error), "the server under test")
    raise AssertionError("the upload was not refused")


def test_an_upload_is_accepted_then_done(raw, frames):
    first, last = raw("WriteObject", frames.upload(DATA))

    assert MiB == first.accepted.max_chunk_size
    assert len(DATA) == last.done.size
    assert raw.get("bucket", "key") == DATA


def test_an_empty_object_needs_no_chunk(raw, frames):
    assert raw.write(frames.upload(b"")).done.size == 0


@pytest.mark.parametrize("size", [1, 1000, MiB])
def test_chunks_may_be_of_any_size(raw, frames, size):
    data = DATA[: size * 3 - 1]

    raw.write(frames.upload(data, size))

    assert data == raw.get("bucket", "key")


def test_any_legal_encoding_of_a_chunk_is_understood(raw, frames):
    chunk = frames.chunk(0, b"abc").chunk
    reordered = b"\x1a\x03abc" + pb.Chunk(crc32c=chunk.crc32c).SerializeToString() + b"\x08\x00"
    request = b"\x1a" + bytes([len(reordered)]) + reordered
    opening, commit = frames.opening(), frames.commit(b"abc")
    method = raw.channel.stream_stream(f"/{call_headers.SERVICE.full_name}/WriteObject")

    list(method(iter([opening.SerializeToString(), request, commit.SerializeToString()]), timeout=20))

    assert raw.get("bucket", "key") == b"abc"


def test_bytes_that_are_no_frame_are_refused_with_a_reason(raw, frames, refused):
    method = raw.channel.stream_stream(f"/{call_headers.SERVICE.full_name}/WriteObject")

    _, error = refused(method, iter([frames.opening().SerializeToString(), b"\xff\xff"]), timeout=20)

    assert "WriteObjectRequest" in error.message


def test_a_stream_that_ends_without_commit_publishes_nothing(raw, frames, absent):
    told, status = refusal(raw, [frames.opening(), frames.chunk(0, b"abc")])

    assert [InvalidParameterError, InvalidParameterError] == [type(told), type(status)]
    assert absent()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda f: [],
        lambda f: [pb.WriteObjectRequest()],
        lambda f: [f.chunk(0, b"a")],
        lambda f: [f.commit(b"")],
        lambda f: [f.opening(), f.opening(), f.commit(b"")],
        lambda f: [f.opening(), pb.WriteObjectRequest(), f.commit(b"")],
        lambda f: [f.opening(), f.chunk(1, b"a"), f.commit(b"a")],
        lambda f: [f.opening(), f.chunk(0, bytes(MiB + 1)), f.commit(bytes(MiB + 1))],
        lambda f: [f.opening(key="/key"), f.commit(b"")],
        lambda f: [f.opening(declared_size=-1), f.commit(b"")],
        lambda f: [f.opening(), pb.WriteObjectRequest(file=pb.FileRange(length=3)), f.commit(b"abc")],
    ],
    ids=[
        "nothing",
        "empty",
        "chunk first",
        "commit first",
        "two opens",
        "empty later",
        "gap",
        "long",
        "key",
        "size",
        "no file",
    ],
)
def test_a_frame_that_does_not_fit_is_refused(raw, frames, absent, wrong):
    told, status = refusal(raw, wrong(frames))

    assert [InvalidParameterError, InvalidParameterError] == [type(told), type(status)]
    assert told.message == status.message
    assert told.request_id == status.request_id
    assert absent()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda f: [f.opening(), f.chunk(0, b"abc", crc=1), f.commit(b"abc")],
        lambda f: [f.opening(), f.chunk(0, b"abc"), f.commit(b"abd")],
        lambda f: [f.opening(), f.chunk(0, b"abc"), f.commit(b"abcd")],
        lambda f: [f.opening(), f.commit(b"abc")],
        lambda f: [f.opening(), f.chunk(0, b"abc"), pb.WriteObjectRequest(commit=pb.WriteCommit(size=4, copied=True))],
    ],
    ids=["damaged chunk", "other bytes", "bytes missing", "no bytes", "copied bytes missing"],
)
def test_damage_is_noticed_and_stores_nothing(raw, frames, absent, wrong):
    told, status = refusal(raw, wrong(frames))

    assert [IntegrityError, IntegrityError] == [type(told), type(status)]
    assert (told.bucket, told.key) == ("bucket", "key")
    assert absent()


def test_what_follows_the_commit_changes_nothing(raw, frames):
    told, _ = answers(raw, [*frames.upload(b"abc"), frames.chunk(3, b"d")])

    assert [answer.WhichOneof("frame") for answer in told] == ["accepted", "done"]
    assert raw.get("bucket", "key") == b"abc"


def test_a_first_attempt_is_refused_before_its_bytes_are_sent(raw, frames):
    raw.put("bucket", "key", b"there")
    taken = pb.Condition(if_absent=True)

    told, _ = answers(
        raw, [frames.opening(condition=taken, idempotency_key="k")], metadata=[(call_headers.ATTEMPT_KEY, "1")]
    )

    assert [answer.WhichOneof("frame") for answer in told] == ["failed"]
    assert AlreadyExistsError is type(error_status.error_from_status(told[0].failed))


@pytest.mark.parametrize("metadata", [[(call_headers.ATTEMPT_KEY, "2")], []])
def test_an_upload_repeated_after_a_lost_answer_gets_that_answer(raw, frames, metadata):
    fields = {"condition": pb.Condition(if_absent=True), "idempotency_key": "once"}
    first = raw.write(frames.upload(b"abc", **fields), metadata=[(call_headers.ATTEMPT_KEY, "1")])

    second = raw.write(frames.upload(b"abc", **fields), metadata=metadata)

    assert first.done == second.done


def test_a_missing_bucket_is_told_before_bytes_are_sent(frames, connect):
    with local_server(auto_create_buckets=False) as server:
        told, _ = answers(connect(server.endpoint), [frames.opening()])

    assert [answer.WhichOneof("frame") for answer in told] == ["failed"]
    assert BucketNotFoundError is type(error_status.error_from_status(told[0].failed))


@pytest.mark.slow
def test_a_refusal_always_arrives_with_its_reason(raw, frames, thorough):
    """Many uploads, refused at their third chunk while the client goes on sending as fast as it can."""
    count = 50 if thorough else 15
    block = bytes(MiB)
    good = [frames.chunk(at * MiB, block) for at in range(12)]
    damaged = frames.chunk(2 * MiB, block, crc=1)

    reasons = []
    for _ in range(count):
        told, status = refusal(raw, [frames.opening(), *good[:2], damaged, *good[3:], frames.commit(block * 12)])
        reasons.append((type(told), type(status)))

    assert [(IntegrityError, IntegrityError)] * count == reasons


def test_a_refused_sender_that_falls_silent_is_not_waited_for(raw, frames, monkeypatch):
    monkeypatch.setattr("actorc.storage.server.service.service._DRAIN_SECONDS", 0.05)
    silence = threading.Event()

    def sender():
        yield frames.chunk(0, b"no opening")
        silence.wait(20)

    told, status = refusal(raw, sender())
    silence.set()

    # the call is ended from outside, which leaves no details; the reason was told in band
    assert [InvalidParameterError, DamagedMessageError] == [type(told), type(status)]


def abort_after(raw, frames, accepted):
    """Begin an upload, cancel it once it was accepted or at once."""
    going = threading.Event()

    def sender():
        yield frames.opening(key="aborted")
        yield frames.chunk(0, b"abc")
        going.wait(20)

    call = raw("WriteObject", sender())
    if accepted:
        next(call)
    call.cancel()
    going.set()


@pytest.mark.slow
def test_aborted_uploads_leave_neither_threads_nor_files(tmp_path, frames, connect, refused):
    with local_server(tmp_path.as_uri(), threads=8, reserved=1) as server:
        raw = connect(server.endpoint)
        raw.put("bucket", "key", b"data")
        for _ in range(20):
            abort_after(raw, frames, accepted=True)
        # a thread that still writes the access line of its call is not free for another, so all are made at some time
        with ThreadPoolExecutor(16) as together:
            list(together.map(lambda _: raw.put("bucket", "key", b"data"), range(64)))
        process = psutil.Process()
        before = process.num_threads(), process.num_fds()

        for number in range(200):
            abort_after(raw, frames, accepted=bool(number % 2))
        _, error = refused(raw, "HeadObject", pb.HeadObjectRequest(bucket="bucket", key="aborted"))

        def is_settled():
            raw.put("bucket", "key", b"data")
            return process.num_threads() <= before[0] + 2 and process.num_fds() <= before[1] + 2

        # the server learns of a cancelled call when it gets to it, which takes a busy machine a while
        settled = any(is_settled() for _ in range(2000))

    assert ObjectNotFoundError is type(error)
    assert settled
    assert [path for path in (tmp_path / "staging").rglob("*") if path.is_file()] == []
