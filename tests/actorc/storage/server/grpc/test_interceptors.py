"""What surrounds every call: request ids, access lines, errors, admission, idle timeouts."""

from __future__ import annotations

import logging
import os
import re
import threading

import grpc
import pytest

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire.call_headers import DETAILS_KEY, OF_FAILURES, TRAILERS_KEY
from actorc.storage._wire.checksum import crc32c
from actorc.storage._wire.request_ids import REQUEST_ID_KEY
from actorc.storage.errors import DeadlineExceededError, ObjectNotFoundError, ResourceExhaustedError, StorageError
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server

MiB = 1 << 20


class BrokenEngine(MemoryEngine):
    """Fails at what a disk or a bug makes fail."""

    def head(self, bucket, key):
        raise OSError(5, "Input/output error", "/secret/path/of/the/server")

    def read(self, bucket, key, **options):
        raise ZeroDivisionError("secret detail")

    def writer(self, bucket, key, *, declared_size=None):
        raise ZeroDivisionError("secret detail")


@pytest.fixture
def broken(connect):
    with local_server(BrokenEngine()) as server:
        yield connect(server.endpoint)


@pytest.fixture
def access(caplog):
    """Return the access lines, once as many as expected are there."""
    arrived = threading.Condition()
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            line = record.getMessage()
            # written behind its answer, and so perhaps when the test has begun already
            if not line.startswith("CreateBucket "):
                with arrived:
                    lines.append(line)
                    arrived.notify_all()

    handler = Lines()
    logger = logging.getLogger("actorc.storage.server.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    def wait_for(count):
        with arrived:
            arrived.wait_for(lambda: len(lines) >= count, 20)
            return list(lines)

    yield wait_for
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def head(raw, key="none", **options):
    return raw.stub("HeadObject").with_call(pb.HeadObjectRequest(bucket="bucket", key=key), timeout=20, **options)


def trailer(call, name=REQUEST_ID_KEY):
    return dict(call.trailing_metadata()).get(name)


def test_the_callers_request_id_comes_back(raw):
    raw.put("bucket", "key", b"")

    _, call = head(raw, "key", metadata=[(REQUEST_ID_KEY, "my-call.1")])

    assert trailer(call) == "my-call.1"


def test_a_caller_may_want_no_trailers_but_those_of_failures(raw):
    raw.put("bucket", "key", b"")
    wanted = (TRAILERS_KEY, OF_FAILURES), (REQUEST_ID_KEY, "id")

    assert head(raw, "key", metadata=wanted)[1].trailing_metadata() == ()
    with pytest.raises(grpc.RpcError) as caught:
        head(raw, "missing", metadata=wanted)
    assert {REQUEST_ID_KEY, DETAILS_KEY} <= dict(caught.value.trailing_metadata()).keys()


def test_a_caller_does_not_wait_for_the_access_line_of_its_call(raw):
    raw.put("bucket", "key", b"")
    answered, written = threading.Event(), []

    class AfterTheAnswer(logging.Handler):
        def emit(self, record):
            written.append(answered.wait(20))

    logger = logging.getLogger("actorc.storage.server.access")
    handler = AfterTheAnswer()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        head(raw, "key")
        answered.set()
        head(raw, "key")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)

    assert written[:1] in ([], [True])


@pytest.mark.parametrize("offered", ["", "a b", "x" * 65, "é".encode().decode("latin1"), None])
def test_a_request_id_is_made_when_none_of_use_is_offered(raw, offered):
    raw.put("bucket", "key", b"")
    metadata = [(REQUEST_ID_KEY, offered)] if offered is not None and offered.isascii() else []

    made = {trailer(head(raw, "key", metadata=metadata)[1]) for _ in range(2)}

    assert len(made) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in made)


def test_an_error_names_the_request_and_what_it_is_about(raw, refused):
    status, error = refused(head, raw, metadata=[(REQUEST_ID_KEY, "my-call")])

    assert ObjectNotFoundError is type(error)
    assert (error.request_id, error.bucket, error.key) == ("my-call", "bucket", "none")
    assert (grpc.StatusCode.NOT_FOUND, error.message) == (status.code(), status.details())
    assert trailer(status) == "my-call"


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("HeadObject", pb.HeadObjectRequest(bucket="bucket", key="key")),
        ("ReadObject", pb.ReadObjectRequest(bucket="bucket", key="key")),
        ("WriteObject", [pb.WriteObjectRequest(open=pb.WriteOpen(bucket="bucket", key="key"))]),
        ("PutObject", pb.PutObjectRequest(bucket="bucket", key="key")),
    ],
)
def test_what_broke_inside_is_logged_and_reaches_nobody(broken, refused, caplog, method, request_):
    request = iter(request_) if isinstance(request_, list) else request_

    status, error = refused(broken, method, request, metadata=[(REQUEST_ID_KEY, "my-call")])

    assert (grpc.StatusCode.INTERNAL, StorageError, "my-call") == (status.code(), type(error), error.request_id)
    assert "secret" not in str(error) + str(status.details()) + str(status.trailing_metadata())
    assert "secret" in caplog.text
    assert "request my-call" in caplog.text
    assert "Traceback" in caplog.text


def test_every_call_leaves_one_access_line(raw, frames, access):
    raw.put("bucket", "key", b"secret content", metadata={"name": "secret value"})
    raw.get("bucket", "key")
    raw.write(frames.upload(b"secret content", key="other"))
    with pytest.raises(grpc.RpcError):
        head(raw)
    lines = access(4)

    name = r"(\w+) (\w+) bucket='bucket' key='(\w+)'"
    shape = name + r" bytes=(\d+) ms=\d+\.\d request=[0-9a-f]{32} peer=ipv4:127\.0\.0\.1:\d+ by=-"
    assert [re.fullmatch(shape, line).groups() for line in lines] == [
        ("PutObject", "OK", "key", "14"),
        ("ReadObject", "OK", "key", "14"),
        ("WriteObject", "OK", "other", "14"),
        ("HeadObject", "NOT_FOUND", "none", "0"),
    ]


def test_the_line_of_a_batch_names_its_objects(raw, access):
    keys = ["a,\nb", *(f"{number:04}" + "k" * 500 for number in range(20))]
    raw("HeadObjects", pb.HeadObjectsRequest(bucket="bucket", keys=keys[:2]))
    raw("HeadObjects", pb.HeadObjectsRequest(bucket="bucket", keys=keys))
    short, long = access(2)

    assert short.endswith(f" objects=2 keys={keys[0]!a},{keys[1]!a}")
    assert " objects=21 keys=" in long
    assert long.count("kkk'") == 8
    assert "\n" not in short + long


def test_a_name_cannot_forge_an_access_line(raw, access):
    with pytest.raises(grpc.RpcError):
        head(raw, "key\nHeadObject OK bucket='other'" + "x" * 5000)
    (line,) = access(1)

    assert "\n" not in line
    assert len(line) < 1500


def test_a_call_that_was_cancelled_leaves_its_line_too(raw, frames, access):
    call = raw("WriteObject", waiting(frames.opening()))
    next(call)
    call.cancel()

    (line,) = access(1)

    assert re.match(r"WriteObject (CANCELLED|INVALID_ARGUMENT) bucket='bucket' key='key' bytes=0 ", line)


def test_an_error_with_a_long_message_still_fits_into_metadata(raw, refused):
    status, error = refused(raw, "HeadBucket", pb.HeadBucketRequest(bucket="\N{SNOWMAN}" * 100_000))

    assert grpc.StatusCode.INVALID_ARGUMENT is status.code()
    assert len(error.message) == 1024


def waiting(first, until=None):
    yield first
    (until or threading.Event()).wait(20)


@pytest.fixture
def full(connect, frames):
    """A server whose places for transfers are all taken."""
    done = threading.Event()
    with local_server(threads=4, reserved=2) as server:
        raw = connect(server.endpoint)
        raw("CreateBucket", pb.CreateBucketRequest(bucket="bucket"))
        raw.put("bucket", "key", b"data")
        calls = [raw("WriteObject", waiting(frames.opening(key=f"{number}"), done)) for number in range(2)]
        for call in calls:
            next(call)
        yield raw, calls
        done.set()


@pytest.mark.parametrize("method", ["WriteObject", "ReadObject"])
def test_a_full_server_refuses_transfers_at_once_and_says_when_to_come_back(full, frames, refused, method):
    raw, _ = full
    request = iter([frames.opening()]) if method == "WriteObject" else pb.ReadObjectRequest(bucket="bucket", key="key")

    status, error = refused(raw, method, request)

    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhaustedError) == (status.code(), type(error))
    assert error.retryable
    assert 0 < error.retry_after < 5


def test_a_full_server_still_answers_small_calls(full):
    raw, _ = full

    assert head(raw, "key")[0].object.size == 4
    assert raw.put("bucket", "small", b"x").size == 1


def test_a_place_is_free_again_when_a_transfer_ends(full, access):
    raw, calls = full
    calls[0].cancel()
    access(1)

    assert raw.get("bucket", "key") == b"data"


def test_calls_that_nobody_has_a_thread_for_are_bounded(connect, frames):
    release = threading.Event()

    class SlowEngine(MemoryEngine):
        def head_bucket(self, bucket):
            release.wait(20)
            return super().head_bucket(bucket)

    with local_server(SlowEngine(), threads=2, reserved=1, queue=1) as server:
        method = connect(server.endpoint).stub("HeadBucket")
        calls = [method.future(pb.HeadBucketRequest(bucket="bucket"), timeout=20) for _ in range(10)]
        refused = threading.Semaphore(0)
        for call in calls:
            call.add_done_callback(lambda _: refused.release())
        for _ in range(7):
            refused.acquire(timeout=20)
        release.set()
        codes = [call.code() for call in calls]

    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 7
    assert codes.count(grpc.StatusCode.NOT_FOUND) == 3


@pytest.fixture
def impatient(connect):
    with local_server(idle_timeout=0.5, threads=2, reserved=1) as server:
        raw = connect(server.endpoint)
        raw("CreateBucket", pb.CreateBucketRequest(bucket="bucket"))
        yield raw


def test_an_upload_that_sends_nothing_is_ended(impatient, frames, refused, access):
    status, error = refused(impatient, "WriteObject", waiting(frames.opening()))

    assert (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceededError) == (status.code(), type(error))
    assert "nothing moved for 0.5 s" in status.details()
    assert access(1)[0].startswith("WriteObject DEADLINE_EXCEEDED")
    assert impatient.get("bucket", impatient.put("bucket", "next", b"").key) == b""


@pytest.mark.slow
def test_a_download_that_takes_nothing_is_ended(impatient, frames, refused, access):
    impatient.write(frames.upload(os.urandom(32 * MiB)))
    access(1)
    call = impatient("ReadObject", pb.ReadObjectRequest(bucket="bucket", key="key"))
    next(call)
    lines = access(2)

    assert lines[1].startswith("ReadObject DEADLINE_EXCEEDED")
    status, error = refused(lambda: call)
    assert (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceededError) == (status.code(), type(error))
    assert impatient.get("bucket", impatient.put("bucket", "next", b"").key) == b""


def test_an_engine_that_takes_its_time_is_not_an_idle_caller(connect, frames):
    class SlowEngine(MemoryEngine):
        def head_bucket(self, bucket):
            threading.Event().wait(0.2)
            return super().head_bucket(bucket)

    with local_server(SlowEngine(), idle_timeout=0.1) as server:
        answer = connect(server.endpoint).write(frames.upload(b"abc"))

    assert crc32c(b"abc") == answer.done.crc32c
