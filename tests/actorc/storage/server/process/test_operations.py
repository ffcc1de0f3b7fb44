"""A server whose disk fails or fills, and one that stops: what its clients see."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage import NetworkError, ReadOnlyError, ResourceExhaustedError, RetryPolicy, StorageError
from actorc.storage.rules import KiB, MiB
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.engines.local import INLINE_MAX, FsOps, LocalEngine
from actorc.storage.server.telemetry.calls_in_flight import CallsInFlight
from actorc.storage.testing import local_server

SERVING, NOT_SERVING = 1, 2
ONCE = RetryPolicy(attempts=1)


class Disk(FsOps):
    """The real disk, until its syncs fail."""

    broken = False

    def sync(self, descriptor):
        self._check()
        super().sync(descriptor)

    def commit(self, connection):
        self._check()
        super().commit(connection)

    def _check(self):
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")


def health(endpoint):
    with grpc.insecure_channel(endpoint) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", StringValue.SerializeToString, Int32Value.FromString
        )
        return check(StringValue(), timeout=20).value


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def server(tmp_path, disk):
    with local_server(LocalEngine(tmp_path / "data", fsops=disk), http=True) as running:
        yield running


@pytest.fixture
def client(server):
    with server.client(retry=ONCE) as connected:
        connected.create_bucket("bucket")
        connected.put_object("bucket", "key", b"data")
        yield connected


CHANGES = {
    "put": lambda client: client.put_object("bucket", "key", b"new"),
    "stream": lambda client: client.put_object("bucket", "key", bytes(2 * MiB)),
    "delete": lambda client: client.delete_object("bucket", "key"),
    "batch delete": lambda client: client.delete_objects("bucket", ["key"]),
    "copy": lambda client: client.copy_object("bucket", "key", "bucket", "copy"),
    "bucket": lambda client: client.create_bucket("another-bucket"),
    "bucket delete": lambda client: client.delete_bucket("bucket", force=True),
    "upload": lambda client: client.create_multipart_upload("bucket", "key"),
}


def test_after_a_failed_sync_changes_are_refused_and_reads_go_on(client, server, disk, ask, caplog):
    upload_id = client.create_multipart_upload("bucket", "parts")["upload_id"]
    url = client.presign_url("bucket", "key")
    changes = CHANGES | {
        "part": lambda client: client.upload_part("bucket", "parts", upload_id, 1, b"part"),
        "abort": lambda client: client.abort_multipart_upload("bucket", "parts", upload_id),
    }
    disk.broken = True
    with pytest.raises(StorageError, match="the disk of the server failed"):
        client.put_object("bucket", "key", b"lost")
    disk.broken = False

    refusals = {}
    for name, change in changes.items():
        with pytest.raises(ReadOnlyError, match="is read-only because a write to its disk failed") as caught:
            change(client)
        refusals[name] = caught.value.retryable

    assert refusals == dict.fromkeys(changes, False)
    assert client.get_object("bucket", "key") == b"data"
    assert [entry["key"] for entry in client.list_objects("bucket")["objects"]] == ["key"]
    assert (ask(url).status, ask(url).body) == (200, b"data")
    assert health(server.endpoint) == NOT_SERVING
    assert ask(server.http_endpoint + "/readyz").status == 503
    assert ask(server.http_endpoint + "/healthz").status == 200
    told = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert [record.getMessage() for record in told] == [
        "storage is read-only from now on: [Errno 5] Input/output error"
    ]


def test_a_read_only_server_is_well_after_a_restart(client, disk, tmp_path, server):
    disk.broken = True
    with pytest.raises(StorageError):
        client.put_object("bucket", "key", b"lost")
    client.close()

    with local_server(LocalEngine(tmp_path / "again")) as running:
        assert health(running.endpoint) == SERVING


def take(path, size):
    """Take so much of a file system."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 MiB, of which something else takes most."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", folder], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("a file system of its own cannot be mounted here")
    take(folder / "else", 172 * MiB)
    yield folder
    subprocess.run(["umount", folder], check=True)


def put_until_it_fails(client, data):
    """Put objects; return the error that ends it, and how many were stored."""
    stored = itertools.count()
    try:
        for number in stored:
            client.put_object("bucket", f"{number}", data)
    except StorageError as error:
        return error, next(stored) - 1


@pytest.mark.slow
@pytest.mark.parametrize("size", [10 * KiB, 100 * KiB, 2 * MiB])
def test_a_full_disk_is_told_and_the_server_goes_on(small_disk, size):
    data = os.urandom(size)
    take(small_disk / "more", 6 * MiB)
    engine = LocalEngine(small_disk / "data")
    with local_server(engine) as server, server.client(retry=ONCE) as client:
        client.put_object("bucket", "small", b"data")
        full, stored = put_until_it_fails(client, data)
        staged = list((small_disk / "data" / "staging").iterdir())
        small = client.get_object("bucket", "small")
        last = client.get_object("bucket", f"{stored - 1}")
        ready = health(server.endpoint)
        for number in range(stored):
            client.delete_object("bucket", f"{number}")
        engine.sweep()
        client.put_object("bucket", "key", data)
        ready_again = health(server.endpoint)

        assert type(full) is ResourceExhaustedError
        assert "the disk of the server is full" in full.message
        assert full.retryable
        assert (staged, small, last) == ([], b"data", data)
        # the index does not give back what small objects took of the disk, but fills it anew
        assert ready_again == (SERVING if size > INLINE_MAX else NOT_SERVING)
        # of large ones there may be no room for one more, and yet for others
        assert ready == NOT_SERVING or size > MiB
        assert client.get_object("bucket", "key") == data
        assert engine.maintenance.fsck() == []


def fill(path):
    """Take everything that is left of a file system."""
    with path.open("wb", buffering=0) as file:
        for size in (MiB, 4 * KiB, 1):
            try:
                while True:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017


@pytest.mark.slow
def test_deleting_goes_through_when_something_else_has_filled_the_disk(small_disk, ask):
    with local_server(LocalEngine(small_disk / "data"), http=True) as server, server.client(retry=ONCE) as client:
        for number in range(80):
            client.put_object("bucket", f"old-{number}", bytes(100))
        fill(small_disk / "rest")
        error, _ = put_until_it_fails(client, bytes(10 * KiB))
        full = health(server.endpoint), [ask(server.http_endpoint + page).status for page in ("/readyz", "/healthz")]
        for number in range(80):
            client.delete_object("bucket", f"old-{number}")
        read = client.list_objects("bucket")["objects"]
        (small_disk / "rest").unlink()
        client.put_object("bucket", "new", b"data")

        assert (type(error), full) == (ResourceExhaustedError, (NOT_SERVING, [503, 200]))
        assert not any(found["key"].startswith("old-") for found in read)
        assert (health(server.endpoint), ask(server.http_endpoint + "/readyz").status) == (SERVING, 200)
        assert client.get_object("bucket", "new") == b"data"


def test_uploads_that_only_say_how_large_they_are_take_no_room(small_disk, connect, frames):
    with local_server(LocalEngine(small_disk / "data")) as server, server.client(retry=ONCE) as client:
        raw, over = connect(server.endpoint), threading.Event()
        client.create_bucket("bucket")
        before = os.statvfs(small_disk).f_bfree

        def opening(number):
            yield frames.opening(key=f"{number}", declared_size=10 * MiB)
            over.wait(20)

        calls = [raw("WriteObject", opening(number)) for number in range(20)]
        accepted = [next(call).HasField("accepted") for call in calls]
        taken = (before - os.statvfs(small_disk).f_bfree) * os.statvfs(small_disk).f_frsize
        stored = client.put_object("bucket", "honest", bytes(10 * MiB))["size"]
        over.set()

    assert accepted == [True] * 20
    assert taken < MiB
    assert stored == 10 * MiB


class FullDisk(Disk):
    """The real disk, until it is full: then nothing is committed while the reserve is held."""

    full = False
    taken = 0

    def reserve(self, folder, size):
        descriptor = super().reserve(folder, size)
        self.taken = os.fstat(descriptor).st_ino
        return descriptor

    def room(self, path):
        return -1 if self.full else super().room(path)

    def commit(self, connection):
        if self.full and self._is_held():
            raise OSError(errno.ENOSPC, "No space left on device", "/secret/path")
        super().commit(connection)

    def _is_held(self):
        held = set()
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                held.add(descriptor.stat().st_ino)
        return self.taken in held


def test_the_reserve_is_given_up_for_a_change_on_a_full_disk_and_taken_again(tmp_path):
    disk = FullDisk()
    engine = LocalEngine(tmp_path / "data", fsops=disk)
    with local_server(engine) as server, server.client(retry=ONCE) as client:
        client.put_object("bucket", "key", b"data")
        first, disk.full = disk.taken, True
        client.delete_object("bucket", "key")
        ready = health(server.endpoint)
        disk.full = False
        client.put_object("bucket", "key", b"data")

        assert (ready, health(server.endpoint)) == (NOT_SERVING, SERVING)
        assert disk.taken != first or disk._is_held()
        assert engine.healthy


class NoDescriptors(Disk):
    """The real disk, until nothing can be opened any more."""

    out = None

    def _open(self, method, *arguments):
        if self.out is not None:
            raise OSError(self.out, os.strerror(self.out), "/secret/path/of/the/server")
        return method(*arguments)

    def open(self, path):
        return self._open(super().open, path)

    def create(self, path):
        return self._open(super().create, path)

    def sync_directory(self, path):
        return self._open(super().sync_directory, path)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_running_out_of_descriptors_is_told_as_that_and_passes(tmp_path, ask, number):
    disk, data = NoDescriptors(), bytes(100 * KiB)
    engine = LocalEngine(tmp_path / "data", fsops=disk)
    with local_server(engine, http=True) as server, server.client(retry=ONCE) as client:
        client.put_object("bucket", "key", data)
        url = client.presign_url("bucket", "key")
        disk.out = number
        errors = []
        for attempt in (
            lambda: client.get_object("bucket", "key"),
            lambda: b"".join(client.stream_object("bucket", "key")),
            lambda: client.put_object("bucket", "other", data),
            lambda: client.put_object("bucket", "large", bytes(3 * MiB)),
        ):
            with pytest.raises(ResourceExhaustedError, match="out of file descriptors; raise its limit") as caught:
                attempt()
            errors.append(caught.value)
        over_http = ask(url)
        disk.out = None

        assert all(error.retryable and error.retry_after == 1.0 for error in errors)
        assert "secret" not in "".join(map(str, errors)) + over_http.body.decode()
        assert (over_http.status, over_http.error[0]) == (503, "ResourceExhausted")
        assert engine.healthy
        assert client.get_object("bucket", "key") == data
        assert client.put_object("bucket", "other", data)["size"] == len(data)


@pytest.mark.parametrize("broken", ["read", "sync"])
def test_no_error_of_the_disk_names_a_path_of_the_server(tmp_path, broken):
    class Broken(FsOps):
        def __getattribute__(self, name):
            if name == broken and fails:
                raise OSError(errno.EIO, "Input/output error", "/secret/path/of/the/server")
            return super().__getattribute__(name)

    fails = False
    data = bytes(100 * KiB)
    with local_server(LocalEngine(tmp_path / "data", fsops=Broken())) as server, server.client(retry=ONCE) as client:
        client.put_object("bucket", "key", data)
        fails = True
        said = []
        for attempt in (lambda: client.get_object("bucket", "key"), lambda: client.put_object("bucket", "new", data)):
            for _ in range(2):
                try:
                    attempt()
                except StorageError as error:
                    said.append(str(error))
        fails = False

    assert said
    assert "secret" not in "".join(said)


@pytest.fixture
def stoppable():
    server = StorageServer(ServerOptions(engine="memory://", listen="127.0.0.1:0", auto_create_buckets=True))
    server.start()
    yield server
    server.stop(0)


def is_answered(raw):
    try:
        raw("ListBuckets", pb.ListBucketsRequest())
    except grpc.RpcError:
        return False
    return True


def begun(raw, frames, going_on):
    """Begin an upload that goes on once told to; return when it was accepted."""

    def sender():
        yield frames.opening()
        going_on.wait(20)
        yield frames.chunk(0, b"abc")
        yield frames.commit(b"abc")

    call = raw("WriteObject", sender())
    next(call)
    return call


def test_a_server_that_stops_says_so_refuses_calls_and_finishes_what_runs(stoppable, connect, frames, refused):
    raw = connect(stoppable.address)
    going_on = threading.Event()
    call = begun(raw, frames, going_on)
    with ThreadPoolExecutor() as threads:
        stopped = threads.submit(stoppable.stop, 1000)
        while health(stoppable.address) == SERVING:
            pass
        # the health is told a moment before calls are refused, so that load balancers stop sending first
        while is_answered(raw):
            pass
        refusals = [
            refused(raw, "ListBuckets", pb.ListBucketsRequest()),
            refused(raw, "ReadObject", pb.ReadObjectRequest(bucket="bucket", key="key")),
            refused(raw, "WriteObject", iter(frames.upload(b"abc"))),
        ]
        running = not stopped.done()
        going_on.set()
        size = next(call).done.size
        stopped.result(20)

    assert (running, size) == (True, 3)
    assert {status.code() for status, _ in refusals} == {grpc.StatusCode.UNAVAILABLE}
    assert {(type(error), error.retryable, error.retry_after) for _, error in refusals} == {(NetworkError, True, 1.0)}
    assert all("the server is stopping" in error.message for _, error in refusals)


def test_what_does_not_finish_in_time_is_broken_off(stoppable, connect, frames, refused):
    never = threading.Event()
    call = begun(connect(stoppable.address), frames, never)

    stoppable.stop(0.01)
    never.set()

    status, _ = refused(lambda: call)
    assert status.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_a_gate_waits_for_those_inside_and_lets_nobody_in():
    gate = CallsInFlight()
    with gate:
        assert not gate.close(0)
        with pytest.raises(NetworkError, match="stopping"), gate:
            pass

    assert gate.close(1000)


def test_abandoned_uploads_are_removed_after_the_time_that_was_configured(tmp_path):
    options = ServerOptions(data=tmp_path / "data", listen="127.0.0.1:0", auto_create_buckets=True, upload_ttl=1e-6)
    server = StorageServer(options)
    with server:
        from actorc.storage import StorageClient

        with StorageClient(server.address) as client:
            client.create_bucket("bucket")
            client.create_multipart_upload("bucket", "key")
            server.parts.engine.sweep()

            assert client.list_multipart_uploads("bucket")["uploads"] == []
