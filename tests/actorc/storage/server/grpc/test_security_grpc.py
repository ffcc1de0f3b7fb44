"""Strangers over gRPC, on a server with keys: what each of them tries by every method, and that nothing comes of it."""

from __future__ import annotations

import logging
import socket
import struct
import time
from contextlib import closing

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import InvalidParameterError, PermissionError, StorageError
from actorc.storage._rpc import call_errors
from actorc.storage._rpc.grpc.calls import call_failed
from actorc.storage._wire import call_headers
from actorc.storage._wire.call_signing import DATE_HEADER, HASH_HEADER, SIGNATURE_HEADER, derived_key, sign_request
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import ClockSkewError, UnauthenticatedError
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.key_file import add_key, disable_key
from actorc.storage.testing import local_server

SERVICE = f"/{call_headers.SERVICE.full_name}"
METHODS = [method.name for method in call_headers.SERVICE.methods]
MINE = "mine/"
SHARED = {"GetServerInfo", "ListBuckets", "HeadBucket", "ListObjects", "ListMultipartUploads"}
BATCHES = {"DeleteObjects", "PutObjects", "GetObjects", "HeadObjects"}
SHARED |= BATCHES
"""Methods that answer whoever may do something in the bucket, for what is theirs."""
FIELDS = {"bucket": "bucket", "key": "theirs", "source_bucket": "bucket", "source_key": "theirs", "keys": ["theirs"]}
FIELDS |= {
    "method": "GET",
    "expires_seconds": 60,
    "upload_id": "upload",
    "data": b"changed",
    "crc32c": crc32c(b"changed"),
}


class Holder:
    """Somebody with a key."""

    def __init__(self, file, *allowed):
        key, self.secret = add_key(file, [Statement.parse(text) for text in allowed] or [EVERYTHING])
        self.id = key.id

    def sign(self, method, body, *, at=None):
        """Return the headers of a call."""
        now_ms = int((time.time() if at is None else at) * 1000)
        return dict(sign_request(derived_key(self.secret), self.id, f"{SERVICE}/{method}", body, now_ms))


class Place:
    """A server with keys and an object that is nobody's business, and who may try to get at it."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "keys.json"
        self.admin, self.disabled = Holder(self.file), Holder(self.file)
        self.neighbour = Holder(self.file, f"read,list,write,delete,presign:bucket/{MINE}")
        self.elsewhere = Holder(folder / "of-another-server.json")
        disable_key(self.file, self.disabled.id)

    def client(self, holder):
        return self.server.client(access_key=holder.id, secret_key=holder.secret)

    def all_there_is(self):
        """Return every object with its generation, every upload, and every bucket."""
        with self.client(self.admin) as client:
            objects = {each["key"]: (each["generation"], each["etag"]) for each in client.iter_objects("bucket")}
            return objects, client.list_multipart_uploads("bucket"), client.list_buckets()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("place"))
    (made.folder / "secret").write_bytes(b"of this machine")
    with local_server((made.folder / "data").as_uri(), keys=made.file) as made.server:
        with made.client(made.admin) as client:
            client.put_object("bucket", "theirs", b"theirs")
            client.put_object("bucket", MINE + "key", b"mine")
        yield made


@pytest.fixture
def raw(place, connect):
    return connect(place.server.endpoint)


def message(method):
    described = call_headers.SERVICE.methods_by_name[method]
    if method == "WriteObject":
        return pb.WriteObjectRequest(open=pb.WriteOpen(bucket="bucket", key="theirs"))
    known = described.input_type.fields_by_name
    fields = (
        FIELDS | {"objects": [GetMessageClass(known["objects"].message_type)(key="theirs")]}
        if "objects" in known
        else FIELDS
    )
    return GetMessageClass(described.input_type)(**{name: value for name, value in fields.items() if name in known})


def call(raw, method, request, headers, rest=()):
    requests = iter([request, *rest]) if method == "WriteObject" else request
    answer = raw(method, requests, metadata=tuple(headers.items()))
    return list(answer) if hasattr(answer, "__next__") else answer


def wrong_signature(place, method, body):
    return place.admin.sign(method, body) | {SIGNATURE_HEADER: "0" * 64}


def of_another_method(place, method, body):
    return place.admin.sign("ListBuckets" if method != "ListBuckets" else "GetServerInfo", body)


def under_the_key_of_another(place, method, body):
    return place.neighbour.sign(method, body) | {"x-acs-key": place.admin.id}


def at_another_time_than_signed(place, method, body):
    headers = place.admin.sign(method, body)
    return headers | {DATE_HEADER: str(int(headers[DATE_HEADER]) + 1)}


ATTEMPTS = {
    "unsigned": (lambda _place, _method, _body: {}, UnauthenticatedError),
    "wrong signature": (wrong_signature, UnauthenticatedError),
    "stale": (lambda place, method, body: place.admin.sign(method, body, at=time.time() - 3600), ClockSkewError),
    "of the future": (
        lambda place, method, body: place.admin.sign(method, body, at=time.time() + 3600),
        ClockSkewError,
    ),
    "another method": (of_another_method, UnauthenticatedError),
    "another message": (lambda place, method, body: place.admin.sign(method, body + b"x"), UnauthenticatedError),
    "another key": (under_the_key_of_another, UnauthenticatedError),
    "another time": (at_another_time_than_signed, UnauthenticatedError),
    "disabled key": (lambda place, method, body: place.disabled.sign(method, body), UnauthenticatedError),
    "key of another server": (lambda place, method, body: place.elsewhere.sign(method, body), UnauthenticatedError),
    "foreign prefix": (lambda place, method, body: place.neighbour.sign(method, body), PermissionError),
}


@pytest.mark.few(8)
@pytest.mark.parametrize("hashed", [True, False], ids=["hashed", "unhashed"])
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_no_stranger_gets_in_by_any_method_and_nothing_changes(place, raw, refused, attempt, hashed):
    made, expected = ATTEMPTS[attempt]
    before, told = place.all_there_is(), []
    for method in METHODS:
        if expected is PermissionError and method in SHARED:
            continue
        request = message(method)
        headers = made(place, method, request.SerializeToString())
        if not hashed:
            headers.pop(HASH_HEADER, None)
        told.append((method, type(refused(call, raw, method, request, headers)[1])))

    assert {kind for _, kind in told} == {expected}, told
    assert place.all_there_is() == before


@pytest.mark.parametrize("method", sorted(SHARED))
def test_what_is_answered_to_many_is_for_each_what_is_theirs(place, raw, method):
    before, request = place.all_there_is(), message(method)
    answer = call(raw, method, request, place.neighbour.sign(method, request.SerializeToString()))

    if method in BATCHES:
        assert [each.failed.code for each in answer.results] == [7]
    else:
        assert b"theirs" not in answer.SerializeToString()
    assert place.all_there_is() == before


def upload(key, data, **fields):
    opening = pb.WriteObjectRequest(open=pb.WriteOpen(bucket="bucket", key=key, **fields))
    piece = pb.Chunk(data=data, crc32c=crc32c(data))
    end = pb.WriteCommit(size=len(data), crc32c=crc32c(data))
    return opening, [pb.WriteObjectRequest(chunk=piece), pb.WriteObjectRequest(commit=end)]


def changes():
    data = b"recorded"
    written, rest = upload("replayed", data, idempotency_key="write")
    target = {"bucket": "bucket", "key": "replayed"}
    return {
        "PutObject": (pb.PutObjectRequest(**target, data=data, crc32c=crc32c(data), idempotency_key="put"), ()),
        "WriteObject": (written, rest),
        "CopyObject": (
            pb.CopyObjectRequest(source_bucket="bucket", source_key="theirs", **target, idempotency_key="copy"),
            (),
        ),
        "DeleteObject": (pb.DeleteObjectRequest(**target, idempotency_key="delete"), ()),
        "PutObjects": (
            pb.PutObjectsRequest(
                bucket="bucket",
                objects=[pb.NewObject(key="replayed", data=data, crc32c=crc32c(data))],
                idempotency_key="batch",
            ),
            (),
        ),
        "DeleteObjects": (pb.DeleteObjectsRequest(bucket="bucket", keys=["replayed"], idempotency_key="many"), ()),
        "CreateBucket": (pb.CreateBucketRequest(bucket="created", idempotency_key="create"), ()),
        "CreateMultipartUpload": (pb.CreateMultipartUploadRequest(**target, idempotency_key="begin"), ()),
    }


@pytest.mark.parametrize("method", changes())
def test_a_recorded_call_that_is_played_again_changes_nothing_and_gets_the_first_answer(place, raw, method):
    request, rest = changes()[method]
    headers = place.admin.sign(method, request.SerializeToString())
    with place.client(place.admin) as client:
        client.put_object("bucket", "replayed", b"before")
        first = call(raw, method, request, headers, rest)
        client.put_object("bucket", "replayed", b"what came after")
        before = place.all_there_is()
        second = call(raw, method, request, headers, rest)

        assert second == first
        assert place.all_there_is() == before
        assert client.get_object("bucket", "replayed") == b"what came after"


KEYS = [
    "..",
    ".",
    "../theirs",
    MINE + "../theirs",
    "../../../secret",
    MINE + "./key",
    "mine//key",
    "a//b/",
    "a\\..\\..\\secret",
    "%2e%2e/secret",
    "%252e%252e%252fsecret",
    "theirs%00",
    "~/secret",
    "C:\\secret",
    "file:///etc/passwd",
    "a\nb\r\n",
    "theirs ",
    "THEIRS",
]


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "data" not in path.parts}


@pytest.mark.few(6)
@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_a_key_that_looks_like_a_path_is_a_name_and_leads_nowhere(place, key):
    # large enough for a file of its own
    data = key.encode() * (20_000 // len(key))
    outside = files(place.folder)
    with place.client(place.admin) as client:
        client.put_object("bucket", key, data)
        got, listed = client.get_object("bucket", key), [each["key"] for each in client.iter_objects("bucket")]
        client.delete_object("bucket", key)

        assert (got, key in listed) == (data, True)
        assert client.get_object("bucket", "theirs") == b"theirs"
        assert client.get_object("bucket", MINE + "key") == b"mine"
    assert files(place.folder) == outside


@pytest.mark.parametrize("key", ["", "/", "/etc/passwd", "//theirs", "\0", "theirs\0.txt", "a" * 1025], ids=ascii)
@pytest.mark.parametrize("method", ["HeadObject", "PutObject", "DeleteObject", "WriteObject"])
def test_what_is_no_key_is_refused_from_whom_ever(place, raw, refused, method, key):
    request = message(method)
    (request.open if method == "WriteObject" else request).key = key
    headers = place.admin.sign(method, request.SerializeToString())

    assert type(refused(call, raw, method, request, headers)[1]) is InvalidParameterError


@pytest.mark.few(20)
@pytest.mark.parametrize(
    "bucket", ["", ".", "..", "../x", "a/b", "bucket/", "/etc", "UPPER", "b\0", "%2e%2e"], ids=ascii
)
@pytest.mark.parametrize("method", ["HeadObject", "PutObject", "CreateBucket", "DeleteBucket", "ListObjects"])
def test_what_is_no_bucket_is_refused_from_whom_ever(place, raw, refused, method, bucket):
    request = message(method)
    request.bucket = bucket
    headers = place.admin.sign(method, request.SerializeToString())

    assert type(refused(call, raw, method, request, headers)[1]) is InvalidParameterError


@pytest.mark.parametrize(
    "key", ["theirs", "mine", "minefield", "mine\\key", "MINE/key", "../theirs", "./mine/key", " mine/key"]
)
def test_a_key_for_a_prefix_is_for_what_begins_so_and_for_no_other_spelling(place, key):
    with place.client(place.neighbour) as client:
        for attempt in (
            lambda: client.get_object("bucket", key),
            lambda: client.put_object("bucket", key, b"changed"),
            lambda: client.delete_object("bucket", key),
            lambda: client.copy_object("bucket", key, "bucket", MINE + "copy"),
            lambda: client.copy_object("bucket", MINE + "key", "bucket", key),
        ):
            with pytest.raises(PermissionError):
                attempt()


def test_a_key_for_a_prefix_does_not_leave_it_by_dots(place):
    with place.client(place.neighbour) as client:
        client.put_object("bucket", MINE + "../theirs", b"changed")
        listed = [each["key"] for each in client.iter_objects("bucket")]
        client.delete_object("bucket", MINE + "../theirs")

    with place.client(place.admin) as client:
        assert client.get_object("bucket", "theirs") == b"theirs"
    assert listed == [MINE + "../theirs", MINE + "key"]


class Http2:
    """One call of a client that writes its frames by hand, and may write what no library does."""

    def __init__(self, endpoint):
        host, port = endpoint.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self._frame(4, 0, 0, b""))

    @staticmethod
    def _frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

    @staticmethod
    def _text(text):
        # a length below 127 is one byte, a longer one goes on in groups of seven bits
        length = len(text)
        if length < 127:
            return bytes([length]) + text
        rest, groups = length - 127, b"\x7f"
        while rest >= 128:
            groups += bytes([rest % 128 | 128])
            rest //= 128
        return groups + bytes([rest]) + text

    def call(self, path, headers, body):
        """Make a call; return all that comes back until its end, as bytes."""
        ours = [(":method", b"POST"), (":scheme", b"http"), (":path", path.encode()), (":authority", b"server")]
        ours += [("te", b"trailers"), ("content-type", b"application/grpc"), *headers]
        block = b"".join(b"\0" + self._text(name.encode()) + self._text(value) for name, value in ours)
        first, *rest = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
        frames = self._frame(1, 0 if rest else 4, 1, first)
        for number, piece in enumerate(rest, 1):
            frames += self._frame(9, 4 if number == len(rest) else 0, 1, piece)
        framed = b"\0" + struct.pack(">I", len(body)) + body
        self._socket.sendall(frames + self._frame(0, 1, 1, framed))
        return self._answer()

    def _answer(self):
        told, pending = b"", b""
        while piece := self._socket.recv(1 << 16):
            pending += piece
            while len(pending) >= 9 and len(pending) >= 9 + int.from_bytes(pending[:3], "big"):
                size = int.from_bytes(pending[:3], "big")
                kind, flags, stream, payload = pending[3], pending[4], pending[8], pending[9 : 9 + size]
                pending = pending[9 + size :]
                if stream == 1:
                    told += payload
                # the end of the stream, its reset, or the end of the connection
                if (stream == 1 and (kind == 3 or (kind in {0, 1} and flags & 1))) or kind == 7:
                    return told
        return told

    def close(self):
        self._socket.close()


OK, INVALID, EXHAUSTED, UNIMPLEMENTED, UNAUTHENTICATED = (
    b"grpc-status" + self for self in (b"\x010", b"\x013", b"\x018", b"\x0212", b"\x0216")
)


def spoken(place, headers, path=f"{SERVICE}/HeadObject"):
    with closing(Http2(place.server.endpoint)) as client:
        return client.call(path, headers, HEAD)


HEAD = pb.HeadObjectRequest(bucket="bucket", key="theirs").SerializeToString()
NAMES = ["x-acs-key", "x-acs-date", "x-acs-sig", "x-acs-hash"]


def proved(place):
    return [(name, value.encode()) for name, value in place.admin.sign("HeadObject", HEAD).items()]


def test_what_the_hand_writes_is_understood(place):
    answer = spoken(place, proved(place))

    assert OK in answer
    assert b"theirs" in answer


@pytest.mark.parametrize("name", [*NAMES, "x-acs-request-id"])
@pytest.mark.parametrize("at", ["first", "last"])
def test_a_header_of_the_signature_that_comes_twice_proves_nothing(place, name, at):
    headers = [*proved(place), *([("x-acs-request-id", b"mine")] if name == "x-acs-request-id" else [])]
    extra = (name, b"1")
    headers = [extra, *headers] if at == "first" else [*headers, extra]

    answer = spoken(place, headers)

    assert UNAUTHENTICATED in answer
    assert OK not in answer


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value", [b"\xff\xfe", "é".encode(), b"\0", b"a\nb", b"\r\nx-acs-key: AK", b"", b"a" * 7000, b" "]
)
def test_a_header_that_is_no_text_or_too_much_of_it_proves_nothing(place, caplog, name, value):
    headers = [(known, value if known == name else told) for known, told in proved(place)]
    with caplog.at_level(logging.INFO):
        answer = spoken(place, headers)

    # without a hash the message proves who sent it
    assert (OK in answer) is ((name, value) == ("x-acs-hash", b""))
    assert OK in spoken(place, proved(place))
    assert "Traceback" not in caplog.text
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_headers_without_measure_are_refused_and_the_server_goes_on(place):
    answer = spoken(place, [*proved(place), *((f"x-{number}", b"a" * 10_000) for number in range(20))])

    # ours, unless gRPC refuses them beforehand: it draws at random whether it does above the size that it is told
    assert INVALID in answer or EXHAUSTED in answer
    assert OK not in answer
    assert OK in spoken(place, proved(place))


@pytest.mark.parametrize(
    "path",
    [
        f"/{SERVICE}/HeadObject",
        f"{SERVICE}//HeadObject",
        f"{SERVICE}/../{SERVICE[1:]}/HeadObject",
        f"{SERVICE}/HeadObject/",
        f"{SERVICE}/headobject",
        f"{SERVICE}/Head%4fbject",
        f"{SERVICE}/HeadObject?x",
        "/HeadObject",
    ],
)
def test_a_method_under_another_name_is_none(place, path):
    answer = spoken(place, proved(place), path)

    assert b"theirs" not in answer
    assert UNIMPLEMENTED in answer or OK not in answer


def test_no_secret_of_a_call_is_logged_told_or_shown(place, raw, caplog):
    caplog.set_level(logging.DEBUG)
    said, planted = [], []
    for attempt, _ in ATTEMPTS.values():
        for method in ("HeadObject", "PutObject", "WriteObject"):
            request = message(method)
            headers = attempt(place, method, request.SerializeToString())
            planted += [headers[SIGNATURE_HEADER]] if SIGNATURE_HEADER in headers else []
            with pytest.raises(grpc.RpcError) as caught:
                call(raw, method, request, headers)
            error = call_errors.error_from_call(call_failed(caught.value), "server")
            said += [
                str(caught.value),
                str(caught.value.trailing_metadata()),
                str(error),
                repr(error),
                repr(vars(error)),
            ]
    with place.client(place.admin) as client:
        with pytest.raises(StorageError):
            client.head_object("bucket", "none")
        said += [repr(client), repr(place.server), repr(vars(place.server))]
    everything = "\n".join([*said, caplog.text])

    holders = (place.admin, place.disabled, place.neighbour, place.elsewhere)
    planted += [each.secret for each in holders] + [derived_key(each.secret).hex() for each in holders]
    assert [each for each in planted if each in everything] == []
    assert "HeadObject PERMISSION_DENIED" in everything
