"""Who is calling, over the wire: signatures, keys that come and go, clocks, TLS."""

from __future__ import annotations

import itertools
import json
import logging
import pickle
import re
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from google.protobuf.message_factory import GetMessageClass

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import (
    InvalidParameterError,
    NetworkError,
    PermissionError,
    RetryPolicy,
    StorageClient,
    StorageError,
)
from actorc.storage._rpc.signer import Signer
from actorc.storage._wire import call_headers
from actorc.storage._wire.call_signing import HASH_HEADER, derived_key, sign_clock, sign_request
from actorc.storage._wire.request_ids import REQUEST_ID_KEY
from actorc.storage.errors import ClockSkewError, UnauthenticatedError
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.key_file import add_key, disable_key, read_keys
from actorc.storage.server.auth.keyring import Keyring
from actorc.storage.testing import local_server

METHODS = [method.name for method in call_headers.SERVICE.methods]
HEAD = pb.HeadObjectRequest(bucket="bucket", key="key")


class Holder:
    """Somebody with a key."""

    def __init__(self, file, *allowed):
        statements = [Statement.parse(text) for text in allowed] or [EVERYTHING]
        self.key, self.secret = add_key(file, statements)
        self.id = self.key.id

    def sign(self, method, request, *, at=None, secret=None, body=None, hashed=True):
        """Return the metadata of a call, with a fixed request id; `hashed` as clients of this version do."""
        key = derived_key(secret or self.secret)
        now_ms = int((time.time() if at is None else at) * 1000)
        data = request.SerializeToString() if body is None else body
        proof = sign_request(key, self.id, f"/{call_headers.SERVICE.full_name}/{method}", data, now_ms)
        headers = [header for header in proof if hashed or header[0] != HASH_HEADER]
        return [*headers, (REQUEST_ID_KEY, "same")]

    @property
    def arguments(self):
        return {"access_key": self.id, "secret_key": self.secret}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def admin(file):
    return Holder(file)


@pytest.fixture
def server(file, admin):
    with local_server(keys=file) as running, running.client(**admin.arguments) as client:
        client.put_object("bucket", "key", b"data")
        client.put_object("bucket", "a/key", b"data")
        yield running


@pytest.fixture
def raw(server, connect):
    return connect(server.endpoint)


@pytest.fixture
def client(server):
    """Return what makes clients of the server."""
    opened = []

    def make(holder=None, **options):
        opened.append(server.client(**(holder.arguments if holder else {}), **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def first_message(method):
    described = call_headers.SERVICE.methods_by_name[method]
    if method == "WriteObject":
        return pb.WriteObjectRequest(open=pb.WriteOpen(bucket="bucket", key="key"))
    fields = {"bucket": "bucket", "source_bucket": "bucket", "key": "key", "source_key": "key", "method": "GET"}
    fields |= {"expires_seconds": 60}
    known = described.input_type.fields_by_name
    return GetMessageClass(described.input_type)(**{name: value for name, value in fields.items() if name in known})


def call(raw, method, metadata):
    request = first_message(method)
    return raw(method, iter([request]) if method == "WriteObject" else request, metadata=metadata)


def told(status):
    """Return everything that a refusal tells its caller."""
    return status.code(), status.details(), dict(status.trailing_metadata())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_wants_to_know_who_calls(raw, refused, method):
    status, error = refused(call, raw, method, [])

    assert (grpc.StatusCode.UNAUTHENTICATED, UnauthenticatedError) == (status.code(), type(error))
    assert "STORAGE_ACCESS_KEY" in error.message


@pytest.mark.parametrize("method", [name for name in METHODS if name not in {"GetServerInfo", "ListBuckets"}])
def test_a_key_for_something_else_can_call_nothing(raw, file, refused, method):
    stranger = Holder(file, "read,list,write,delete,presign,admin:another-bucket")

    status, error = refused(call, raw, method, stranger.sign(method, first_message(method)))

    assert (grpc.StatusCode.PERMISSION_DENIED, PermissionError) == (status.code(), type(error))


def test_a_key_for_something_else_sees_no_buckets(client, file):
    assert client(Holder(file, "read:another-bucket")).list_buckets() == []


@pytest.fixture(params=[True, False], ids=["hashed", "unhashed"])
def hashed(request):
    """Whether clients send the hash of their message, as those of earlier versions do not."""
    return request.param


def test_an_unknown_key_a_disabled_key_and_a_wrong_signature_look_the_same(raw, file, admin, refused, hashed):
    unknown, disabled = Holder(file), Holder(file)
    unknown.id = "AK" + "A" * 18
    disable_key(file, disabled.id)
    attempts = [
        unknown.sign("HeadObject", HEAD, hashed=hashed),
        disabled.sign("HeadObject", HEAD, hashed=hashed),
        admin.sign("HeadObject", HEAD, secret="wrong", hashed=hashed),
        admin.sign("HeadObject", HEAD, body=b"another", hashed=False),
        admin.sign("GetServerInfo", HEAD, hashed=hashed),
        [*admin.sign("HeadObject", HEAD, hashed=False), (HASH_HEADER, "0" * 64)],
    ]

    answers = [told(refused(call, raw, "HeadObject", metadata)[0]) for metadata in attempts]

    assert answers[0][0] is grpc.StatusCode.UNAUTHENTICATED
    assert [answers[0]] * 6 == answers


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_a_call_that_is_proved_by_its_message_alone(raw, admin, method):
    try:
        answer = call(raw, method, admin.sign(method, first_message(method), hashed=False))
        list(answer if hasattr(answer, "__next__") else ())
    except grpc.RpcError as error:
        assert error.code() not in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}  # noqa: PT017


def test_transfers_of_any_size_are_proved_by_the_first_message_alone(raw, admin, frames):
    data = b"x" * 5_000_000
    opening = frames.opening(key="old")
    raw.write(frames.upload(data, key="old"), metadata=admin.sign("WriteObject", opening, hashed=False))
    request = pb.ReadObjectRequest(bucket="bucket", key="old")

    answers = list(raw("ReadObject", request, metadata=admin.sign("ReadObject", request, hashed=False)))

    assert data == b"".join(answer.chunk.data for answer in answers[1:])


@pytest.mark.parametrize("method", ["HeadObject", "ReadObject", "WriteObject"])
def test_a_request_sent_again_with_another_body_is_refused(raw, admin, refused, hashed, method):
    metadata = admin.sign(method, pb.HeadObjectRequest(bucket="bucket", key="other"), hashed=hashed)

    _, error = refused(call, raw, method, metadata)

    # who has proved a key may send again what was damaged
    assert (UnauthenticatedError, hashed) == (type(error), error.retryable)


@pytest.mark.parametrize("age", [-3600, 3600])
def test_a_request_of_another_time_is_refused_and_told_the_time(raw, admin, refused, age):
    before = time.time()
    status, error = refused(call, raw, "HeadObject", admin.sign("HeadObject", HEAD, at=before - age))

    assert (grpc.StatusCode.UNAUTHENTICATED, ClockSkewError) == (status.code(), type(error))
    assert int(before * 1e6) <= error.server_time_us <= int(time.time() * 1e6)


@pytest.mark.parametrize("method", ["HeadObject", "WriteObject"])
def test_the_time_is_signed_for_who_has_the_key_and_for_the_call(raw, admin, refused, method):
    date = time.time() - 3600
    metadata = admin.sign(method, first_message(method), at=date)

    _, error = refused(call, raw, method, metadata)

    path, date_ms = f"/{call_headers.SERVICE.full_name}/{method}", int(dict(metadata)["x-acs-date"])
    expected = sign_clock(derived_key(admin.secret), path, "same", date_ms, error.server_time_us)
    assert expected == error.server_time_signature


def test_the_time_is_told_to_everybody_and_signed_for_nobody_else(raw, file, admin, refused):
    long_ago, disabled = time.time() - 3600, Holder(file)
    disable_key(file, disabled.id)
    attempts = [
        admin.sign("HeadObject", HEAD, at=long_ago, hashed=False),
        admin.sign("HeadObject", HEAD, at=long_ago, secret="wrong"),
        disabled.sign("HeadObject", HEAD, at=long_ago),
        {**dict(admin.sign("HeadObject", HEAD)), "x-acs-date": "1"}.items(),
    ]

    errors = [refused(call, raw, "HeadObject", list(each))[1] for each in attempts]

    assert [(ClockSkewError, "")] * 4 == [(type(error), error.server_time_signature) for error in errors]


@pytest.mark.parametrize(
    "wrong", [{"x-acs-date": "x"}, {"x-acs-sig": ""}, {"x-acs-key": ""}, {"x-acs-hash": "x"}, {"x-acs-hash": "A" * 64}]
)
def test_nonsense_is_refused(raw, admin, refused, wrong):
    metadata = dict(admin.sign("HeadObject", HEAD)) | wrong

    assert isinstance(refused(call, raw, "HeadObject", list(metadata.items()))[1], UnauthenticatedError)


def test_an_upload_without_a_message_is_refused(raw, admin, refused):
    _, error = refused(raw, "WriteObject", iter(()), metadata=admin.sign("WriteObject", HEAD))

    assert UnauthenticatedError is type(error)


def test_what_cannot_be_read_is_not_looked_into_before_it_is_known_who_sent_it(raw, admin, refused):
    method = raw.channel.unary_unary(f"/{call_headers.SERVICE.full_name}/HeadObject")
    signed = admin.sign("HeadObject", None, body=b"\xff")

    errors = [refused(method, b"\xff", metadata=metadata, timeout=20)[1] for metadata in ([], signed)]

    assert [UnauthenticatedError, InvalidParameterError] == list(map(type, errors))


def test_the_client_signs_every_kind_of_call(client, admin, tmp_path):
    ours = client(admin)
    data = b"a" * 3_000_000 + b"b"
    ours.upload_from_stream("bucket", "stream", iter([data]))
    ours.download_file("bucket", "stream", tmp_path / "file")

    assert data == (tmp_path / "file").read_bytes()
    assert [found["key"] for found in ours.iter_objects("bucket")] == ["a/key", "key", "stream"]


def test_a_client_without_keys_is_told_what_to_set(client):
    with pytest.raises(PermissionError, match="set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY"):
        client().get_object("bucket", "key")


def test_a_client_with_a_prefix_stays_in_it(client, file):
    ours = client(Holder(file, "read,list,write,delete:bucket/a/"))
    ours.put_object("bucket", "a/new", b"new")

    assert [found["key"] for found in ours.iter_objects("bucket")] == ["a/key", "a/new"]
    for attempt in (
        lambda: ours.get_object("bucket", "key"),
        lambda: ours.object_exists("bucket", "missing"),
        lambda: ours.put_object("bucket", "key", b""),
        lambda: ours.upload_from_stream("bucket", "key", iter([b"x" * 3_000_000])),
        lambda: ours.delete_object("bucket", "key"),
        lambda: ours.list_objects("bucket", "k"),
        lambda: ours.create_bucket("another"),
        lambda: ours.delete_bucket("bucket"),
        lambda: ours.put_object("another", "a/key", b""),
    ):
        with pytest.raises(PermissionError, match="does not allow"):
            attempt()


def skewed(client, holder, seconds):
    client._remote._rpc._signer = Signer(holder.id, holder.secret, lambda: time.time() + seconds)
    return client


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_client_whose_clock_is_wrong_corrects_it_once_and_warns(client, admin, caplog, seconds):
    ours = skewed(client(admin), admin, seconds)

    with caplog.at_level(logging.INFO, "actorc.storage"):
        data = [ours.get_object("bucket", "key"), b"".join(ours.stream_object("bucket", "key"))]
        ours.upload_from_stream("bucket", "stream", iter([b"x" * 3_000_000]))

    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert data == [b"data"] * 2
    assert len(said) == 1
    off = float(re.search(r"clock is (\S+) s off", said[0])[1])
    assert off == pytest.approx(seconds, abs=60)


def test_a_stream_that_can_be_read_once_survives_a_wrong_clock(client, admin):
    ours = skewed(client(admin), admin, -86_400)
    ours.upload_from_stream("bucket", "stream", iter([b"x" * 3_000_000]))

    assert ours.head_object("bucket", "stream")["size"] == 3_000_000


def test_a_server_that_does_not_know_the_key_cannot_set_the_clock(client, admin, file, tmp_path):
    impostor = Holder(tmp_path / "other.json")
    impostor.id, mine = admin.id, file.read_text()
    file.write_text(mine.replace(json.loads(mine)["keys"][0]["key"], derived_key(impostor.secret).hex()))
    ours = skewed(client(admin), admin, -3600)

    with pytest.raises(ClockSkewError, match=r"3\d{3}\S* s behind what the server says; that was not believed"):
        ours.head_object("bucket", "key")
    file.write_text(mine)
    assert ours.head_object("bucket", "key")["size"] == 4


@pytest.mark.parametrize("seconds", [-100_000, 100_000])
def test_a_clock_that_is_days_off_is_not_corrected(client, admin, seconds):
    with pytest.raises(ClockSkewError, match="more than a day is not corrected, set this machine's clock"):
        skewed(client(admin), admin, seconds).head_object("bucket", "key")


def test_a_clock_that_stays_wrong_is_reported(client, admin):
    ours = client(admin)
    drift = itertools.count(0, 3600)
    ours._remote._rpc._signer = Signer(admin.id, admin.secret, lambda: time.time() + next(drift))
    ours.head_object("bucket", "key")

    with pytest.raises(ClockSkewError):
        ours.head_object("bucket", "key")


def test_an_open_server_does_not_mind_who_calls():
    with local_server() as server, server.client(access_key="AKANY", secret_key="any") as client:
        client.put_object("bucket", "key", b"data")

        assert client.get_object("bucket", "key") == b"data"


@pytest.fixture
def durable(tmp_path):
    """A server of a data directory without keys, and where they would be."""
    with local_server((tmp_path / "data").as_uri()) as server:
        yield server, tmp_path / "data" / "keys.json"


def allowed(client):
    try:
        client.list_buckets()
    except PermissionError:
        return False
    return True


def test_a_server_closes_when_its_first_key_is_made_and_follows_every_change(durable):
    server, file = durable
    with server.client() as anybody:
        seen = [allowed(anybody)]
        holder = Holder(file)
        with server.client(**holder.arguments) as client:
            seen += [allowed(anybody), allowed(client)]
            disable_key(file, holder.id)
            seen += [allowed(client)]

    assert seen == [True, False, True, False]


def test_a_server_whose_keys_are_gone_is_closed_and_not_open(durable, caplog):
    server, file = durable
    holder = Holder(file)
    with server.client() as anybody, server.client(**holder.arguments) as client:
        seen = [allowed(anybody), allowed(client)]
        file.rename(file.with_name("elsewhere"))
        seen += [allowed(anybody), allowed(client)]
        file.with_name("elsewhere").rename(file)
        seen += [allowed(anybody), allowed(client)]

    assert seen == [False, True, False, False, False, True]
    assert "is gone, so every key is refused" in caplog.text


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 2, "keys": []}'])
def test_damaged_keys_change_nothing_while_the_server_runs(durable, caplog, content):
    server, file = durable
    holder = Holder(file)
    with server.client() as anybody, server.client(**holder.arguments) as client:
        before = allowed(client)
        file.write_text(content)
        after = allowed(anybody), allowed(client)

    assert (before, after) == (True, (False, True))
    assert "the access keys are left as they were" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"keys": None},
        {"keys": [{}]},
        {"keys": [{"id": "AK", "key": "xx", "created_at": "2026-01-01", "disabled": False, "allow": []}]},
        {"keys": [{"id": "AK", "key": "00", "created_at": "2026-01-01", "disabled": "no", "allow": []}]},
        {"keys": [{"id": "AK", "key": "00", "created_at": "2026-01-01", "disabled": False, "allow": ["all"]}]},
    ],
)
def test_a_server_does_not_start_with_damaged_keys(file, change):
    file.write_text(json.dumps({"format": 1, "keys": []} | change))

    with pytest.raises(StorageError, match=r"keys\.json (is damaged|has format 2)"):
        Keyring(file)


def test_a_server_does_not_start_with_keys_it_cannot_read(file):
    file.mkdir()

    with pytest.raises(InvalidParameterError, match="is no regular file"):
        Keyring(file)


def test_a_server_does_not_start_without_the_keys_it_was_told_of(file):
    with pytest.raises(InvalidParameterError, match="does not exist"):
        ServerOptions(engine="memory://", keys=file)
    with pytest.raises(InvalidParameterError, match="does not exist"):
        Keyring(file, required=True)


def test_a_file_with_no_keys_in_it_lets_nobody_in(file):
    file.write_text('{"format": 1, "keys": []}')

    with local_server(keys=file) as server, server.client() as client:
        assert not allowed(client)


def test_keys_that_others_may_read_are_warned_of(file, admin, caplog):
    Keyring(file)
    file.chmod(0o640)
    before = caplog.text
    Keyring(file)

    assert (before, "chmod 600" in caplog.text) == ("", True)


def test_the_file_of_keys_is_private_and_holds_no_secret(file, admin):
    assert file.stat().st_mode & 0o777 == 0o600
    assert admin.secret not in file.read_text()


def test_keys_made_at_the_same_time_are_all_kept(file):
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: Holder(file).id, range(16)))

    assert made == set(read_keys(file))


def test_with_keys_a_server_may_be_reached_from_anywhere(file, admin):
    with local_server(listen="0.0.0.0:0", keys=file) as server:
        host, _, port = server.endpoint.rpartition(":")
        with StorageClient(f"127.0.0.1:{port}", **admin.arguments) as client:
            assert (host, client.list_buckets()) == ("0.0.0.0", [])


def test_no_secret_is_shown_anywhere(server, file, admin, caplog):
    caplog.set_level(logging.DEBUG)
    said = []
    with (
        server.client(**admin.arguments) as good,
        StorageClient(server.endpoint, admin.id, "planted-wrong-secret") as bad,
    ):
        skewed(good, admin, 86_400).put_object("bucket", "key", b"data")
        for failing in (lambda: good.head_object("bucket", "none"), lambda: bad.head_object("bucket", "key")):
            with pytest.raises(StorageError) as caught:
                failing()
            said += ["".join(traceback.format_exception(caught.value)), str(pickle.dumps(caught.value))]
        said += [repr(good), str(pickle.dumps(good)), repr(good._options), repr(good._remote._rpc._signer.__dict__)]
        with pytest.raises(TypeError):
            pickle.dumps(good._options)
    said += [caplog.text, file.read_text(), repr(admin.key), repr(read_keys(file))]

    everything = "\n".join(said)
    assert admin.secret not in everything
    assert "planted-wrong-secret" not in everything
    assert derived_key(admin.secret).hex() not in everything.replace(file.read_text(), "")
    assert admin.id in caplog.text


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Certificates of two authorities, as files."""
    folder = tmp_path_factory.mktemp("tls")
    files = {}
    for name in ("ours", "theirs"):
        authority = trustme.CA()
        files[name] = folder / f"{name}.pem"
        authority.cert_pem.write_to_path(files[name])
        for what in ("server", "client"):
            issued = authority.issue_cert("localhost", "127.0.0.1")
            files[name, what] = folder / f"{name}-{what}.pem", folder / f"{name}-{what}.key"
            files[name, what][0].write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
            issued.private_key_pem.write_to_path(files[name, what][1])
    other = trustme.CA()
    files["elsewhere ca"] = folder / "elsewhere.pem"
    other.cert_pem.write_to_path(files["elsewhere ca"])
    issued = other.issue_cert("elsewhere.example")
    files["elsewhere"] = folder / "elsewhere-server.pem", folder / "elsewhere-server.key"
    files["elsewhere"][0].write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(files["elsewhere"][1])
    return files


def served(tls, kind):
    certificate, key = tls["elsewhere"] if kind == "elsewhere" else tls["ours", "server"]
    options = {"tls_cert": certificate, "tls_key": key} if kind != "plain" else {}
    return local_server(**options, **({"tls_client_ca": tls["ours"]} if kind == "mutual" else {}))


def shown(tls, name):
    return dict(zip(("cert_file", "key_file"), tls[name, "client"], strict=True))


@pytest.mark.parametrize("kind", ["tls", "mutual"])
def test_a_client_that_trusts_the_server_uses_tls(tls, kind):
    mutual = shown(tls, "ours") if kind == "mutual" else {}
    with served(tls, kind) as server, server.client(use_ssl=True, ca_file=tls["ours"], **mutual) as client:
        client.put_object("bucket", "key", b"data")

        assert client.get_object("bucket", "key") == b"data"


def test_tls_is_set_up_by_the_environment_alone(tls, monkeypatch):
    monkeypatch.setenv("STORAGE_USE_SSL", "1")
    monkeypatch.setenv("STORAGE_CA_FILE", str(tls["ours"]))
    monkeypatch.setenv("STORAGE_CERT_FILE", str(tls["ours", "client"][0]))
    monkeypatch.setenv("STORAGE_KEY_FILE", str(tls["ours", "client"][1]))
    with served(tls, "mutual") as server, server.client() as client:
        assert client.use_ssl
        assert client.list_buckets() == []


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("tls", {"use_ssl": True, "ca_file": "theirs"}, "not signed by a trusted authority"),
        ("tls", {"use_ssl": True}, "set STORAGE_CA_FILE"),
        ("elsewhere", {"use_ssl": True, "ca_file": "elsewhere ca"}, "is for another host"),
        ("plain", {"use_ssl": True, "ca_file": "ours"}, "does not speak TLS"),
        ("tls", {}, "a server with TLS wants use_ssl=True"),
        ("mutual", {"use_ssl": True, "ca_file": "ours"}, "for a client certificate, cert_file= and key_file="),
        (
            "mutual",
            {"use_ssl": True, "ca_file": "ours", "shows": "theirs"},
            "for a client certificate, cert_file= and key_file=",
        ),
    ],
)
def test_a_mistake_with_tls_is_named_at_once(tls, kind, options, message):
    options = dict(options)
    certificate = shown(tls, options.pop("shows")) if "shows" in options else {}
    if "ca_file" in options:
        options["ca_file"] = tls[options["ca_file"]]
    retry = RetryPolicy(base=0.001)
    with (
        served(tls, kind) as server,
        server.client(**options, **certificate, retry=retry) as client,
        pytest.raises(NetworkError) as caught,
    ):
        client.list_buckets(timeout=10)

    assert message in str(caught.value)
    assert type(caught.value) is NetworkError


@pytest.mark.parametrize("wrong", ["missing", "no pem", "of another", "encrypted"])
def test_files_that_cannot_be_used_are_named(tls, tmp_path, wrong):
    certificate, key = tls["ours", "server"]
    if wrong == "missing":
        key = tmp_path / "missing.key"
    elif wrong == "no pem":
        certificate = tmp_path / "no.pem"
        certificate.write_text("no pem")
    elif wrong == "of another":
        key = tls["theirs", "server"][1]
    else:
        content = serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
        key = tmp_path / "encrypted.key"
        key.write_bytes(content)

    with pytest.raises(InvalidParameterError, match=r"the TLS certificate .* cannot be used"):
        StorageServer(ServerOptions(engine="memory://", tls_cert=certificate, tls_key=key))
    with pytest.raises(InvalidParameterError, match=r"the TLS certificate .* cannot be used"):
        StorageClient("localhost:1", use_ssl=True, cert_file=certificate, key_file=key).list_buckets()


@pytest.mark.parametrize("given", [{"tls_cert": "x"}, {"tls_key": "x"}, {"tls_client_ca": "x"}])
def test_a_server_needs_certificate_and_key_together(given):
    with pytest.raises(InvalidParameterError, match="give both files"):
        ServerOptions(engine="memory://", **{name: Path(value) for name, value in given.items()})


def test_a_file_of_keys_that_others_may_write_is_refused(tmp_path):
    path = tmp_path / "keys.json"
    add_key(path, [EVERYTHING])
    path.chmod(0o620)

    with pytest.raises(InvalidParameterError, match=r"may write to .*'chmod go-w'"):
        Keyring(path)
