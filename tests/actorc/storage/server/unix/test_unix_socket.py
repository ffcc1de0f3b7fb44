"""The Unix socket of a server: who finds it, who does not, and what a peer cannot do to it."""

from __future__ import annotations

import array
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from actorc.storage import StorageClient, StorageError
from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import Kind, encode_pairs
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.process.supervisor import Supervisor
from actorc.storage.testing import local_server

MiB = 1 << 20


@pytest.fixture
def runtime(monkeypatch):
    """The directory of this user's sockets; a short name, since a socket's path may have 107 bytes."""
    directory = tempfile.mkdtemp(prefix="run-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
    monkeypatch.delenv("STORAGE_LOCAL", raising=False)
    yield Path(directory, "lucas-storage")
    shutil.rmtree(directory)


@pytest.fixture
def server(runtime):
    with local_server() as running:
        yield running


@pytest.fixture
def client(server):
    with server.client() as made:
        yield made


@pytest.fixture
def raw(server, runtime):
    """Return new connections to the socket that have been greeted."""
    opened = []

    def connect():
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(next(runtime.glob("*.sock"))))
        opened.append(FrameSocket(connection))
        assert opened[-1].receive_frame(20).kind is Kind.HELLO
        connection.settimeout(20)
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def transport(endpoint, **options):
    with StorageClient(endpoint, **options) as client:
        return client.server_info()["transport"]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_client_on_this_machine_takes_the_socket_and_loads_no_grpc(server):
    code = (
        "import sys; from actorc.storage import StorageClient; client = StorageClient(sys.argv[1])\n"
        "client.put_object('bucket', 'key', b'data'); assert client.get_object('bucket', 'key') == b'data'\n"
        "print(client.server_info()['transport'], 'grpc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, server.endpoint], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["unix", "False"]


def test_the_directory_and_the_socket_are_the_users_alone_and_go_with_the_server(runtime):
    with local_server() as running:
        (path,) = runtime.iterdir()

        assert path.is_socket()
        assert path.name.endswith(running.endpoint.replace(":", "-") + ".sock")
        assert runtime.stat().st_mode & 0o777 == 0o700
    assert not list(runtime.iterdir())


def test_localhost_leads_to_it_as_well(server):
    assert transport(server.endpoint.replace("127.0.0.1", "localhost")) == "unix"


def test_it_is_left_out_where_it_is_not_wanted(server, monkeypatch):
    assert transport(server.endpoint, local=False) == "grpc"
    monkeypatch.setenv("STORAGE_LOCAL", "0")
    assert transport(server.endpoint) == "grpc"
    assert transport(server.endpoint, local=True) == "unix"


def test_a_server_that_does_not_want_it_has_none(runtime):
    with local_server(local=False) as running:
        assert transport(running.endpoint) == "grpc"
    assert not runtime.exists()


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_a_directory_that_others_can_look_into_is_not_trusted(server, runtime, mode):
    runtime.chmod(mode)

    assert transport(server.endpoint) == "grpc"


def test_a_directory_that_is_a_link_is_not_trusted(server, runtime):
    runtime.rename(runtime.with_name("other"))
    runtime.symlink_to(runtime.with_name("other"))

    assert transport(server.endpoint) == "grpc"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
def test_a_peer_of_another_user_is_not_greeted(server, runtime):
    # as if a directory had been opened to others: the directory keeps them out before the check of the peer does
    (path,) = runtime.glob("*.sock")
    for opened in (runtime.parent, runtime, path):
        opened.chmod(0o777)
    code = (
        f"import os, socket; os.setuid(65534); it = socket.socket(socket.AF_UNIX); it.settimeout(20);"
        f"it.connect({str(path)!r}); print(it.recv(1))"
    )

    assert subprocess.check_output([sys.executable, "-c", code]) == b"b''\n"


def test_the_socket_of_another_server_under_this_ones_name_is_not_used(server, runtime):
    (ours,) = runtime.iterdir()
    with local_server() as other:
        (theirs,) = set(runtime.iterdir()) - {ours}
        ours.unlink()
        theirs.rename(ours)

        assert transport(server.endpoint) == "grpc"
        assert transport(other.endpoint) == "grpc"


def test_what_listens_there_and_says_nothing_is_given_up(server, runtime):
    (path,) = runtime.iterdir()
    path.unlink()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()

        assert transport(server.endpoint) == "grpc"


def test_the_file_of_a_killed_server_is_replaced(runtime):
    with local_server() as running:
        (path,) = runtime.iterdir()
        port = running.endpoint.rpartition(":")[2]
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))

    assert path.is_socket()
    with local_server(listen=f"127.0.0.1:{port}") as again:
        assert transport(again.endpoint) == "unix"


def test_the_files_of_killed_servers_are_swept_by_the_next_one_and_no_others(runtime):
    with local_server() as running:
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(runtime / "1-127.0.0.1-1.sock"))
        (runtime / "notes.sock").write_text("no socket")
        left = set(runtime.iterdir())
        with local_server() as again:
            found = {path.name for path in runtime.iterdir()}

            assert (transport(running.endpoint), transport(again.endpoint)) == ("unix", "unix")
    assert (len(left), len(found)) == (3, 3)
    assert "1-127.0.0.1-1.sock" not in found
    assert (runtime / "notes.sock").read_text() == "no socket"


def test_a_client_goes_on_after_a_restart(runtime):
    options = ServerOptions(engine="memory://", listen="127.0.0.1:0", auto_create_buckets=True, grace=0)
    first = StorageServer(options)
    endpoint = first.start()
    with StorageClient(endpoint) as client:
        client.put_object("bucket", "key", b"first")
        first.stop()
        with local_server(listen=endpoint):
            client.put_object("bucket", "key", b"second")

            assert client.get_object("bucket", "key") == b"second"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("<IBBH", 1 << 31, Kind.BEGIN, 0, 0),
        struct.pack("<IBBH", 100, Kind.BEGIN, 0, 0) + b"the peer dies here",
        struct.pack("<IBBH", 0, Kind.MESSAGE, 0, 0),
        struct.pack("<IBBH", 3, Kind.BEGIN, 0, 0) + b"abc",
        b"".join([struct.pack("<IBBH", 15, Kind.BEGIN, 0, 0), encode_pairs([("name", "value")])]),
    ],
)
def test_what_is_no_call_loses_its_connection_and_nothing_else(raw, client, sent):
    connection = raw().socket
    connection.sendall(sent)
    connection.shutdown(socket.SHUT_WR)

    assert connection.recv(1) == b""
    assert client.server_info()["transport"] == "unix"


def test_a_method_that_is_not_there_is_refused_by_its_status(raw):
    frames = raw()
    frames.send_frame(Kind.BEGIN, [encode_pairs([(":path", "/ignis.storage.v1.StorageService/Nothing")])], 20)
    frame = frames.receive_frame(20)

    assert (frame.kind, b"12" in bytes(frame.payload)) == (Kind.END, True)


def test_descriptors_that_nobody_asked_for_are_closed(raw, client, open_below, tmp_path):
    client.server_info()
    (tmp_path / "file").touch()
    with (tmp_path / "file").open("rb") as file:
        connection = raw().socket
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()] * 3))
        connection.sendmsg([struct.pack("<IBBH", 0, Kind.BEGIN, 3, 0)], [rights])

        assert connection.recv(1) == b""
    connection.close()
    assert not open_below(tmp_path)


def test_aborted_downloads_and_uploads_leak_no_descriptor_and_no_thread(client, thorough):
    client.put_object("bucket", "big", bytes(4 * MiB))

    def abort_both():
        stream = client.stream_object("bucket", "big")
        next(stream)
        stream.close()

        def broken():
            yield bytes(MiB)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            client.upload_from_stream("bucket", "broken", broken())

    for _ in range(5):
        abort_both()
    client.server_info()
    files, threads = open_files(), threading.active_count()
    for _ in range(500 if thorough else 20):
        abort_both()

    assert client.list_objects("bucket")["objects"][0]["key"] == "big"
    # the server closes an aborted call's connection a moment later than its client does
    assert open_files() <= files + 4
    assert threading.active_count() <= threads + 2


def test_closing_the_client_ends_its_calls_and_refuses_later_ones(server):
    client = server.client()
    client.put_object("bucket", "big", bytes(8 * MiB))
    stream = client.stream_object("bucket", "big")
    next(stream)

    client.close()

    with pytest.raises(StorageError, match="closed"):
        list(stream)
    with pytest.raises(StorageError, match="closed"):
        client.server_info()


def test_a_hundred_clients_at_once_are_answered(server):
    answered = []

    def call():
        with server.client() as client:
            answered.append(client.server_info()["transport"])

    threads = [threading.Thread(target=call) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answered) == 100


def test_idle_connections_make_room_for_new_ones(runtime):
    with local_server(threads=2, reserved=1, queue=1) as server:
        clients = [server.client() for _ in range(6)]

        assert {client.server_info()["transport"] for client in clients} == {"unix"}
        assert {client.server_info()["transport"] for client in clients} == {"unix"}
        for client in clients:
            client.close()


@pytest.mark.forks
def test_a_forked_child_has_a_connection_of_its_own(client):
    client.put_object("bucket", "key", b"data")
    child = os.fork()
    if not child:
        right = client.get_object("bucket", "key") == b"data" and client.server_info()["transport"] == "unix"
        os._exit(0 if right else 1)

    assert client.get_object("bucket", "key") == b"data"
    assert os.waitpid(child, 0)[1] == 0


def test_what_a_server_refuses_leaves_the_connection_in_use(client):
    client.put_object("bucket", "key", b"data")
    files = open_files()

    for _ in range(3):
        with pytest.raises(StorageError):
            client.head_object("bucket", "missing")
        with pytest.raises(StorageError):
            client.put_object("bucket", "key", bytes(3 * MiB), if_absent=True)

    assert open_files() <= files + 2


@pytest.mark.slow
def test_workers_share_one_socket_and_those_that_replace_them_have_it_too(runtime, tmp_path):
    options = ServerOptions(
        data=tmp_path / "data", listen="127.0.0.1:0", workers=2, auto_create_buckets=True, http="off", grace=1
    )
    supervisor = Supervisor(options)
    with StorageClient(supervisor.start(), timeout=60) as client:
        try:
            client.put_object("bucket", "key", b"data")
            (path,) = runtime.iterdir()
            assert client.server_info()["transport"] == "unix"

            supervisor._slots[0]._worker.process.kill()
            supervisor._slots[1]._worker.process.kill()

            assert client.get_object("bucket", "key") == b"data"
            with StorageClient(client.endpoint, timeout=60) as other:
                reached = iter(lambda: other.server_info()["transport"], "unix")
                assert all(each == "grpc" for each in reached)
            assert path.is_socket()
        finally:
            supervisor.stop()
    assert not list(runtime.iterdir())
