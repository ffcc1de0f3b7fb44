"""Callers who have proved nothing: what they are told, and that they hold nothing that others need."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import RetryPolicy, StorageClient
from actorc.storage._rpc import call_errors
from actorc.storage._rpc.grpc.calls import call_failed
from actorc.storage._wire import call_headers
from actorc.storage._wire.call_signing import derived_key, sign_request
from actorc.storage._wire.checksum import crc32c
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key

MANY = 40
SERVICE = f"/{call_headers.SERVICE.full_name}"
CHECK = "/grpc.health.v1.Health/Check"
PROOFS = (
    "unsigned",
    "key alone",
    "wrong secret",
    "another method",
    "of another time",
    "of another time, without hash",
)
KINDS = ["HeadObject", "ReadObject", "WriteObject"]
MiB = 1 << 20


class Silence:
    """Calls that send headers and no message until they are told to stop."""

    def __init__(self, endpoint):
        self._channel = grpc.insecure_channel(endpoint, [("grpc.use_local_subchannel_pool", 1)])
        self._stop = threading.Event()
        self.calls = []

    def _nothing(self):
        self._stop.wait(60)
        yield from ()

    def begin(self, path, metadata=(), count=1):
        """Begin some calls; return those."""
        method = self._channel.stream_stream(path)
        begun = [method(self._nothing(), metadata=metadata, timeout=60) for _ in range(count)]
        self.calls += begun
        return begun

    def close(self):
        self._stop.set()
        for call in self.calls:
            call.cancel()
        self._channel.close()


@contextmanager
def served(**options):
    settings = {"engine": "memory://", "listen": "127.0.0.1:0", "grace": 0.0, "auto_create_buckets": True, **options}
    with StorageServer(ServerOptions(**settings)) as server:
        yield server


@pytest.fixture
def key(tmp_path):
    return add_key(tmp_path / "keys.json", [EVERYTHING])


@pytest.fixture
def idle_timeout():
    return 0.5


@pytest.fixture
def keyed(tmp_path, key, idle_timeout):
    """A server with keys that has served nothing but one put."""
    with served(keys=tmp_path / "keys.json", idle_timeout=idle_timeout) as server:
        yield server


@pytest.fixture
def honest(keyed, key):
    with StorageClient(keyed.address, key[0].id, key[1], retry=RetryPolicy(attempts=1), timeout=20) as client:
        client.put_object("bucket", "key", b"data")
        yield client


@pytest.fixture
def silence():
    opened = []

    def make(server):
        opened.append(Silence(server.address))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def signed(key, method, body, *, hashed, secret=None):
    headers = dict(sign_request(derived_key(secret or key[1]), key[0].id, f"{SERVICE}/{method}", body, now_ms()))
    return tuple(headers.items()) if hashed else tuple(pair for pair in headers.items() if pair[0] != "x-acs-hash")


def now_ms():
    return int(time.time() * 1000)


def proofs_of_nothing(key, method):
    late = now_ms() - 3_600_000
    return {
        "unsigned": (),
        "key alone": (("x-acs-key", key[0].id),),
        "wrong secret": signed(key, method, b"", hashed=True, secret="wrong"),
        "another method": signed(key, "ListBuckets", b"", hashed=True),
        "of another time": sign_request(derived_key(key[1]), key[0].id, f"{SERVICE}/{method}", b"", late),
        "of another time, without hash": (("x-acs-key", key[0].id), ("x-acs-date", "1"), ("x-acs-sig", "0" * 64)),
    }


@pytest.mark.few(6)
@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("method", KINDS)
def test_who_proves_nothing_is_refused_without_a_thread_and_a_place(keyed, key, honest, silence, method, proof):
    before = keyed.parts.calls.submitted
    calls = silence(keyed).begin(f"{SERVICE}/{method}", proofs_of_nothing(key, method)[proof], MANY)

    assert {grpc.StatusCode.UNAUTHENTICATED} == {call.code() for call in calls}
    assert (keyed.parts.calls.submitted, keyed.parts.strangers.submitted) == (before, 0)
    assert honest.get_object("bucket", "key") == b"data"


@pytest.mark.parametrize("idle_timeout", [0.1])
@pytest.mark.parametrize("method", KINDS)
def test_who_may_still_prove_something_waits_among_strangers_and_not_for_long(keyed, key, silence, method, thorough):
    before, count = keyed.parts.calls.submitted, 2 * MANY if thorough else MANY // 2
    calls = silence(keyed).begin(f"{SERVICE}/{method}", signed(key, method, b"", hashed=False), count)
    codes = [call.code() for call in calls]

    assert set(codes) <= {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) <= count - keyed.parts.strangers.submitted
    assert keyed.parts.strangers.submitted <= count
    assert keyed.parts.calls.submitted == before


# the honest client shares its processors with all the others, and is to be given up for none of its pauses
@pytest.mark.parametrize("idle_timeout", [20])
def test_an_honest_client_is_served_while_strangers_are_silent(keyed, key, honest, silence):
    strangers, stop = silence(keyed), threading.Event()

    def molest():
        while not stop.is_set():
            for method in KINDS:
                strangers.begin(f"{SERVICE}/{method}", signed(key, method, b"", hashed=False), 10)
                strangers.begin(f"{SERVICE}/{method}", (), 10)
            strangers.calls[-1].code()

    with ThreadPoolExecutor(1) as attacker:
        molesting = attacker.submit(molest)
        data = bytes(3 * MiB)
        try:
            for number in range(3):
                honest.put_object("bucket", f"large-{number}", data)
                assert honest.get_object("bucket", f"large-{number}") == data
                assert honest.head_object("bucket", "key")["size"] == 4
        finally:
            stop.set()
        molesting.result()


def test_a_stranger_too_many_is_told_when_to_come_back(keyed, key, honest, silence, refused):
    silence(keyed).begin(f"{SERVICE}/HeadObject", signed(key, "HeadObject", b"", hashed=False), 2 * MANY)
    later = silence(keyed).begin(f"{SERVICE}/HeadObject", signed(key, "HeadObject", b"", hashed=False), 2 * MANY)
    full = [call for call in later if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED]

    errors = [call_errors.error_from_call(call_failed(call), "the server under test") for call in full]

    assert all(error.retryable and 0 < error.retry_after < 5 for error in errors)
    assert errors


def test_transfers_of_clients_that_send_no_hash_do_not_hold_the_threads_of_strangers(keyed, key, frames, connect):
    raw, go_on = connect(keyed.address), threading.Event()
    data = b"x" * 1000

    def paused(name):
        first, *rest = frames.upload(data, key=name)
        yield first
        go_on.wait(20)
        yield from rest

    def upload(name):
        proof = signed(key, "WriteObject", frames.opening(key=name).SerializeToString(), hashed=False)
        return raw("WriteObject", paused(name), metadata=proof)

    calls = [upload(f"{number}") for number in range(10)]
    accepted = [next(call).HasField("accepted") for call in calls]
    during = keyed.parts.calls.count
    go_on.set()
    stored = [list(call)[-1].done.crc32c for call in calls]

    assert (accepted, during, keyed.parts.strangers.submitted) == ([True] * 10, 10, 10)
    assert stored == [crc32c(data)] * 10


@pytest.mark.parametrize("idle_timeout", [0.1])
@pytest.mark.parametrize("method", KINDS)
def test_the_message_of_a_proved_call_is_not_waited_for_for_ever(keyed, key, silence, method):
    (call,) = silence(keyed).begin(f"{SERVICE}/{method}", signed(key, method, b"", hashed=True))

    assert (call.code(), call.details()) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "nothing moved for 0.1 s and the server gave up; try again",
    )


@pytest.mark.parametrize("method", KINDS)
def test_an_open_server_does_not_wait_for_ever_either(silence, method):
    with served(threads=2, reserved=1, idle_timeout=0.1) as server:
        (call,) = silence(server).begin(f"{SERVICE}/{method}")
        code = call.code()
        with StorageClient(server.address) as client:
            client.put_object("bucket", "key", b"data")

    assert code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_call_that_ends_before_its_message_is_told_what_is_missing(raw, refused):
    _, error = refused(raw.channel.stream_stream(f"{SERVICE}/HeadObject"), iter(()), timeout=20)

    assert "ended before its first message came" in error.message


def drained(call):
    with suppress(grpc.RpcError):
        list(call)
    return call.code()


def health(channel):
    check = channel.unary_unary(CHECK, StringValue.SerializeToString, Int32Value.FromString)
    return check(StringValue(), timeout=20).value


@pytest.mark.slow
def test_silent_probes_hold_no_thread_of_calls_and_do_not_make_the_server_look_ill(keyed, honest, silence):
    before = keyed.parts.calls.submitted
    calls = silence(keyed).begin(CHECK, count=MANY)
    with grpc.insecure_channel(keyed.address) as channel:
        answers = [health(channel) for _ in range(5)]
    codes = [drained(call) for call in calls]

    assert (answers, keyed.parts.calls.submitted) == ([1] * 5, before)
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
    assert codes.count(grpc.StatusCode.CANCELLED) < 5


def test_methods_that_do_not_exist_hold_nothing(keyed, silence):
    calls = silence(keyed).begin(f"{SERVICE}/Nothing", count=MANY) + silence(keyed).begin("/other/Method", count=MANY)

    assert {grpc.StatusCode.UNIMPLEMENTED} == {call.code() for call in calls}
    assert (keyed.parts.calls.submitted, keyed.parts.strangers.submitted) == (0, 0)


def test_the_hash_in_the_headers_is_compared_with_the_message(keyed, key, connect, refused):
    signed_one, sent = (pb.HeadObjectRequest(bucket="bucket", key=name) for name in ("mine", "another"))
    metadata = signed(key, "HeadObject", signed_one.SerializeToString(), hashed=True)

    status, error = refused(connect(keyed.address), "HeadObject", sent, metadata=metadata)

    assert (status.code(), error.retryable) == (grpc.StatusCode.UNAUTHENTICATED, True)
    assert "not the one that was signed" in error.message
