"""What a client and a server on one machine pass by descriptor: files of objects, and files that are uploaded."""

from __future__ import annotations

import io
import mmap
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from actorc.storage import StorageClient
from actorc.storage._rpc.files.file_write import FileWrite
from actorc.storage._rpc.payload import Upload
from actorc.storage.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidParameterError,
    ObjectNotFoundError,
    PermissionError,
    UnsupportedError,
)
from actorc.storage.models import Destination
from actorc.storage.rules import MiB
from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server

BIG = os.urandom(3 * MiB + 17)


class Client(StorageClient):
    """The client, to which 2 MiB are a large file."""

    PARALLEL_FROM = 2 * MiB
    DEFAULT_CHUNK_SIZE = MiB


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("passed") / "data"


@pytest.fixture(scope="module")
def server(data):
    with local_server(f"file://{data}") as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.endpoint) as client:
        assert client.server_info()["transport"] == "unix"
        client.create_bucket("bucket", exist_ok=True)
        yield client
        client.delete_bucket("bucket", force=True)


@pytest.fixture
def far(server):
    """A client that reaches the same server over TCP."""
    with Client(server.endpoint, local=False) as client:
        assert client.server_info()["transport"] == "grpc"
        yield client


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.bin"
    path.write_bytes(BIG)
    return path


def blobs(data):
    return {path for path in (data / "blobs").rglob("*") if path.is_file()}


def descriptors_of(*paths):
    """Return the number of descriptors that this process, which is client and server, has of these files."""
    wanted, count = {(path.stat().st_dev, path.stat().st_ino) for path in paths}, 0
    for name in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        with suppress(OSError):  # that of the listing itself is closed by now
            status = os.fstat(name)
            count += (status.st_dev, status.st_ino) in wanted
    return count


def test_a_file_of_any_size_is_one_blob(client, source, data):
    before, told = blobs(data), []

    result = client.upload_file("bucket", "key", source, progress=lambda done, total: told.append((done, total)))

    assert result["size"] == len(BIG)
    assert len(blobs(data) - before) == 1
    assert client.get_object("bucket", "key") == BIG
    assert told[-1] == (len(BIG), len(BIG))
    assert told == sorted(told)


def test_over_tcp_the_same_is_read_and_views_are_memory(client, far, source):
    client.upload_file("bucket", "key", source)

    view = far.get_object("bucket", "key", as_view=True)

    assert view == far.get_object("bucket", "key") == BIG
    assert view.readonly
    assert not isinstance(view.obj, mmap.mmap)


def test_a_view_is_a_map_of_the_file(client, source):
    client.upload_file("bucket", "key", source)

    view = client.get_object("bucket", "key", offset=5, as_view=True)

    assert isinstance(view.obj, mmap.mmap)
    assert view == BIG[5:]


def test_a_map_outlives_the_object_the_client_and_the_sweep(server, client, source):
    client.upload_file("bucket", "key", source)
    with Client(server.endpoint) as other:
        view = other.get_object("bucket", "key", as_view=True)

    client.put_object("bucket", "key", b"other")
    client.delete_object("bucket", "key")

    assert view == BIG


def test_a_blob_that_was_written_to_is_verified_before_a_view_of_it_is_given(client, source, data):
    before = blobs(data)
    client.upload_file("bucket", "key", source)
    (blob,) = blobs(data) - before
    os.utime(blob, (0, 0))
    assert client.get_object("bucket", "key", as_view=True) == BIG

    blob.chmod(0o600)
    with blob.open("r+b") as file:
        file.write(bytes([BIG[0] ^ 1]))

    for options in ({"as_view": True}, {}, {"offset": 3, "length": 5}):
        with pytest.raises(IntegrityError, match="block 0 of the object is damaged"):
            client.get_object("bucket", "key", **options)


@pytest.mark.parametrize("size", [MiB + 1, len(BIG)])
def test_a_download_is_the_file_or_nothing(client, tmp_path, size):
    client.put_object("bucket", "key", BIG[:size])
    told, target = [], tmp_path / "folder" / "target"

    result = client.download_file("bucket", "key", target, progress=lambda done, total: told.append((done, total)))

    assert (target.read_bytes(), result["size"]) == (BIG[:size], size)
    assert told[-1] == (size, size)
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    with pytest.raises(FileExistsError):
        client.download_file("bucket", "key", target)


@pytest.mark.parametrize("size", [MiB + 1, len(BIG)])
def test_a_download_that_is_given_up_leaves_nothing(client, tmp_path, size):
    client.put_object("bucket", "key", BIG[:size])

    def give_up(*_):
        raise LookupError("enough")

    with pytest.raises(LookupError):
        client.download_file("bucket", "key", tmp_path / "target", progress=give_up)

    assert list(tmp_path.iterdir()) == []


def test_an_object_of_parts_is_read_mapped_and_copied(client, tmp_path):
    upload_id = client.create_multipart_upload("bucket", "key")["upload_id"]
    pieces = [BIG, b"small", BIG[: MiB + 1]]
    parts = [client.upload_part("bucket", "key", upload_id, at, piece) for at, piece in enumerate(pieces, 1)]
    client.complete_multipart_upload("bucket", "key", upload_id, parts)
    whole = b"".join(pieces)

    client.download_file("bucket", "key", tmp_path / "target")

    assert (tmp_path / "target").read_bytes() == whole
    assert client.get_object("bucket", "key") == client.get_object("bucket", "key", as_view=True) == whole
    with client.open_object("bucket", "key") as file:
        file.seek(len(BIG) - 3)
        assert file.read(10) == whole[len(BIG) - 3 :][:10]


def test_an_object_that_is_open_as_a_file_is_of_one_generation(client, source):
    client.upload_file("bucket", "key", source)

    with client.open_object("bucket", "key") as file:
        client.put_object("bucket", "key", b"other")
        client.delete_object("bucket", "key")

        assert file.seek(-17, os.SEEK_END) == len(BIG) - 17
        assert file.read() == BIG[-17:]
        file.seek(1)
        assert file.read() == BIG[1:]


def test_an_open_file_is_passed_from_where_it_stands(client, source, data):
    before = blobs(data)

    with source.open("rb") as file:
        file.read(7)
        client.put_object("bucket", "key", file)
        assert file.tell() == len(BIG)

    assert client.get_object("bucket", "key") == BIG[7:]
    assert len(blobs(data) - before) == 1


def test_what_a_file_object_has_not_written_yet_is_stored_all_the_same(client, source):
    with source.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"more")
        file.seek(0)
        client.put_object("bucket", "key", file)

    assert client.get_object("bucket", "key") == BIG + b"more"


def test_a_file_object_of_another_kind_is_read_by_itself(client, source):
    class Upper(io.FileIO):
        def readinto(self, buffer):
            count = super().readinto(buffer)
            buffer[:count] = bytes(count)
            return count

    with io.BufferedReader(Upper(source)) as file:
        client.put_object("bucket", "key", file)

    assert client.get_object("bucket", "key") == bytes(len(BIG))


@pytest.mark.parametrize("change", [lambda path: os.truncate(path, MiB), lambda path: path.open("ab").close()])
def test_a_file_that_changes_while_it_is_copied_stores_nothing(client, source, change):
    def progress(*_):
        change(source)
        os.utime(source)

    with pytest.raises(IntegrityError, match="written to while it was uploaded"):
        client.upload_file("bucket", "key", source, progress=progress)

    assert not client.object_exists("bucket", "key")


def test_conditions_are_judged_before_anything_is_copied(client, source):
    first = client.put_object("bucket", "key", b"first")
    told = []

    with pytest.raises(AlreadyExistsError):
        client.upload_file("bucket", "key", source, if_absent=True, progress=lambda *done: told.append(done))
    result = client.upload_file("bucket", "key", source, "text/x", {"a": "b"}, if_match=first["etag"])

    assert told == []
    assert (result["content_type"], client.head_object("bucket", "key")["metadata"]) == ("text/x", {"a": "b"})


@pytest.fixture
def pass_it(client):
    """Begin an upload of a file and pass this descriptor instead."""

    def passed(descriptor, size):
        upload = Upload(io.BytesIO(bytes(size)))
        destination = Destination(bucket="bucket", key="key")
        return client._remote._rpc.send("WriteObject", FileWrite(upload, descriptor, 0, destination))

    return passed


@pytest.fixture
def strange(tmp_path, source):
    """Open something that is no file to read; what was opened is closed at the end."""
    os.mkfifo(tmp_path / "fifo")
    found = []

    def opened(kind):
        path, flags = {
            "fifo": (tmp_path / "fifo", os.O_RDWR),
            "directory": (tmp_path, os.O_RDONLY),
            "write-only": (source, os.O_WRONLY),
            "path": (source, getattr(os, "O_PATH", os.O_WRONLY)),
            "device": (Path("/dev/zero"), os.O_RDONLY),
            "proc": (Path("/proc/self/status"), os.O_RDONLY),
        }[kind]
        found.append(os.open(path, flags))
        return found[-1]

    yield opened
    for descriptor in found:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("fifo", InvalidParameterError),
        ("directory", InvalidParameterError),
        ("write-only", InvalidParameterError),
        ("path", InvalidParameterError),
        ("device", InvalidParameterError),
        ("proc", UnsupportedError),
    ],
)
def test_what_is_no_file_of_a_local_file_system_is_refused_and_closed(client, pass_it, strange, kind, error):
    descriptor = strange(kind)
    path = Path(f"/dev/fd/{descriptor}")
    before = descriptors_of(path)

    with pytest.raises(error, match=r"send its bytes|open it for that"):
        pass_it(descriptor, len(BIG))

    assert not client.object_exists("bucket", "key")
    assert descriptors_of(path) == before


def test_a_file_shorter_than_it_was_said_to_be_stores_nothing(client, pass_it, source):
    with source.open("rb") as file, pytest.raises(IntegrityError, match="became shorter"):
        pass_it(file.fileno(), len(BIG) + 1)

    with pytest.raises(ObjectNotFoundError):
        client.head_object("bucket", "key")


def test_a_file_without_a_size_travels_in_frames(client):
    client.upload_file("bucket", "key", "/proc/self/mountinfo")

    assert client.get_object("bucket", "key").count(b"\n") > 0


def test_aborted_transfers_leave_no_descriptor_open(client, source, data, tmp_path, thorough):
    client.upload_file("bucket", "other", source)
    files = [source, *blobs(data)]

    def give_up(*_):
        raise LookupError("enough")

    def once():
        with pytest.raises(LookupError):
            client.upload_file("bucket", "key", source, progress=give_up)
        with pytest.raises(LookupError):
            client.download_file("bucket", "other", tmp_path / "target", progress=give_up)
        client.open_object("bucket", "other").close()
        client.get_object("bucket", "other", as_view=True)

    for _ in range(1000 if thorough else 10):
        once()

    # a server learns of an upload that was given up when it next looks at the connection
    end = time.monotonic() + 20
    while descriptors_of(*files) and time.monotonic() < end:
        assert not client.object_exists("bucket", "key")
    assert descriptors_of(*files) == 0


def test_files_go_to_an_engine_that_keeps_none(source):
    with local_server() as server, Client(server.endpoint) as client:
        assert client.server_info()["transport"] == "unix"
        client.upload_file("bucket", "key", source)

        assert client.get_object("bucket", "key") == client.get_object("bucket", "key", as_view=True) == BIG


def test_a_key_gets_and_passes_no_file_where_it_may_not_read_or_write(tmp_path, source):
    file = tmp_path / "keys.json"
    allowed = {
        "writer": [Statement.parse("read,write,list,delete,admin:*")],
        "reader": [Statement.parse("read:bucket/open/")],
    }
    made = {name: add_key(file, statements) for name, statements in allowed.items()}
    holders = {name: {"access_key": key.id, "secret_key": secret} for name, (key, secret) in made.items()}
    with (
        local_server(f"file://{tmp_path / 'data'}", keys=file) as server,
        Client(server.endpoint, **holders["writer"]) as writer,
        Client(server.endpoint, **holders["reader"]) as reader,
    ):
        for key in ("open/key", "closed/key"):
            writer.upload_file("bucket", key, source)
        kept = blobs(tmp_path / "data")

        assert reader.server_info()["transport"] == "unix"
        assert bytes(reader.get_object("bucket", "open/key", as_view=True)) == BIG
        for read in (reader.open_blob, reader.open_object, lambda *place: reader.get_object(*place, as_view=True)):
            with pytest.raises(PermissionError):
                read("bucket", "closed/key")
        with pytest.raises(PermissionError):
            reader.upload_file("bucket", "open/key", source)
        assert blobs(tmp_path / "data") == kept
        assert descriptors_of(*kept) == 0
