"""Files large enough to be moved in parts: what parallel parts must not change, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from actorc.storage import AlreadyExistsError, IntegrityError, StorageClient
from actorc.storage.testing import local_server

pytestmark = pytest.mark.slow

MiB = 1 << 20
SIZE = 20 * MiB + 12_345


class Client(StorageClient):
    """A client to which a file is large that is not."""

    PARALLEL_FROM = 16 * MiB


@pytest.fixture
def client(server):
    # over gRPC: what is about parts and journals is of no use where the server copies the file itself
    with Client(server.endpoint, local=False) as it:
        yield it
        it.delete_bucket("files", force=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A file of which no two MiB are equal."""
    path = tmp_path_factory.mktemp("source") / "big.bin"
    with path.open("wb") as file:
        for number in range(SIZE // MiB):
            file.write(number.to_bytes(8, "big") * (MiB // 8))
        file.write(os.urandom(SIZE % MiB))
    return path


def state():
    return [path.name for path in Path(os.environ["XDG_STATE_HOME"]).rglob("*") if path.is_file()]


def names(folder):
    return [found.name for found in folder.iterdir()]


def part_threads():
    return [thread for thread in threading.enumerate() if thread.name == "storage-part"]


def test_a_large_file_makes_the_round_trip(client, source, tmp_path):
    up, down = [], []
    put = client.upload_file("files", "big", source, metadata={"a": "b"}, progress=lambda *step: up.append(step))
    got = client.download_file("files", "big", tmp_path / "out", progress=lambda *step: down.append(step))

    assert (tmp_path / "out").read_bytes() == source.read_bytes()
    assert (put["size"], got["etag"]) == (SIZE, put["etag"])
    assert client.head_object("files", "big")["metadata"] == {"a": "b"}
    for steps in (up, down):
        assert steps == sorted(steps)
        assert steps[-1] == (SIZE, SIZE)
    assert (names(tmp_path), state(), part_threads()) == (["out"], [], [])
    assert client.list_multipart_uploads("files")["uploads"] == []


@pytest.mark.parametrize("chunk_size", [1, 7 * MiB + 3, 1000 * MiB])
def test_any_chunk_size_will_do(client, source, chunk_size):
    client.upload_file("files", "big", source, chunk_size=chunk_size)

    assert client.get_object("files", "big", offset=SIZE - 100) == source.read_bytes()[-100:]


def test_a_condition_that_does_not_hold_is_found_before_the_file_is_sent(client, source):
    client.put_object("files", "taken", b"first")
    seen = []
    with pytest.raises(AlreadyExistsError):
        client.upload_file("files", "taken", source, if_absent=True, progress=lambda *step: seen.append(step))

    assert (seen, client.get_object("files", "taken")) == ([], b"first")


def test_a_condition_that_holds_no_more_at_the_end_publishes_nothing(client, source):
    client.create_bucket("files", exist_ok=True)

    def take(done, total):
        if not client.object_exists("files", "late"):
            client.put_object("files", "late", b"first")

    with pytest.raises(AlreadyExistsError):
        client.upload_file("files", "late", source, if_absent=True, progress=take)
    assert client.get_object("files", "late") == b"first"
    assert (client.list_multipart_uploads("files")["uploads"], state()) == ([], [])


@pytest.mark.parametrize("raised", [KeyboardInterrupt, RuntimeError])
def test_an_exception_in_the_callback_ends_both_ways_and_leaves_nothing(client, source, tmp_path, raised):
    def stop(done, total):
        if done > 8 * MiB:
            raise raised

    with pytest.raises(raised):
        client.upload_file("files", "stopped", source, progress=stop)
    assert not client.object_exists("files", "stopped")
    assert client.list_multipart_uploads("files")["uploads"] == []
    client.upload_file("files", "big", source)
    with pytest.raises(raised):
        client.download_file("files", "big", tmp_path / "out", progress=stop)

    assert (names(tmp_path), state(), part_threads()) == ([], [], [])


def test_a_file_written_to_meanwhile_is_not_stored(client, tmp_path):
    growing = tmp_path / "log"
    with growing.open("wb") as file:
        file.truncate(SIZE)

    def append(done, total):
        with growing.open("ab") as file:
            file.write(b"more")

    with pytest.raises(IntegrityError, match="written to"):
        client.upload_file("files", "growing", growing, progress=append)
    assert not client.object_exists("files", "growing")
    assert client.list_multipart_uploads("files")["uploads"] == []


def test_an_object_replaced_meanwhile_arrives_as_it_was(tmp_path, source):
    def replace(done, total):
        if direct.head_object("files", "big")["size"] == SIZE:
            direct.put_object("files", "big", b"new")

    with (
        local_server((tmp_path / "data").as_uri()) as server,
        Client(server.endpoint) as client,
        server.client() as direct,
    ):
        client.upload_file("files", "big", source)
        client.download_file("files", "big", tmp_path / "out", progress=replace)

        assert client.get_object("files", "big") == b"new"
    assert (tmp_path / "out").read_bytes() == source.read_bytes()


def test_a_target_made_meanwhile_is_kept(client, source, tmp_path):
    client.upload_file("files", "big", source)
    with pytest.raises(FileExistsError):
        client.download_file(
            "files", "big", tmp_path / "out", progress=lambda done, total: (tmp_path / "out").write_bytes(b"mine")
        )

    assert (names(tmp_path), (tmp_path / "out").read_bytes()) == (["out"], b"mine")


def test_an_upload_needs_no_place_for_journals(client, source, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    put = client.upload_file("files", "big", source)

    assert put["size"] == SIZE
    assert caplog.text.count("begin anew") == 1


def test_a_long_stream_is_stored_in_parts(client, source):
    seen = []
    with source.open("rb") as file:
        put = client.upload_from_stream(
            "files", "streamed", iter(lambda: file.read(777_777), b""), progress=lambda *step: seen.append(step)
        )

    assert b"".join(client.stream_object("files", "streamed")) == source.read_bytes()
    assert (put["size"], seen[-1], seen) == (SIZE, (SIZE, None), sorted(seen))


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ZeroDivisionError])
def test_a_stream_that_raises_after_many_parts_publishes_nothing(client, raised):
    client.create_bucket("files", exist_ok=True)

    def breaking():
        for _ in range(20):
            yield bytes(MiB)
        raise raised

    with pytest.raises(raised):
        client.upload_from_stream("files", "broken", breaking(), chunk_size=2 * MiB)
    assert client.list_objects("files")["objects"] == []
    assert (client.list_multipart_uploads("files")["uploads"], part_threads()) == ([], [])


MEASURED = """
import resource, sys
from actorc.storage import StorageClient

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
path, client = sys.argv[3], StorageClient(sys.argv[1])
client.put_object("files", "warm", bytes(3 << 20))
client.get_object("files", "warm")
before = peak()
match sys.argv[2]:
    case "file":
        client.upload_file("files", "big", path, chunk_size=128 << 20)
    case "stream":
        client.upload_from_stream("files", "big", open(path, "rb"))
    case "iterable":
        client.upload_from_stream("files", "big", iter([bytes(1 << 20)] * 256), chunk_size=128 << 20)
    case "down":
        client.download_file("files", "big", path + ".out")
print(peak() - before)
"""


@pytest.mark.thorough
@pytest.mark.parametrize("what", ["file", "stream", "iterable", "down"])
def test_memory_is_bounded_whatever_the_size_and_the_chunk_size(tmp_path, what):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(256 * MiB)
    with local_server((tmp_path / "data").as_uri()) as server, server.client() as client:
        if what == "down":
            client.upload_file("files", "big", path)
        command = [sys.executable, "-c", MEASURED, server.endpoint, what, str(path)]
        child = subprocess.run(command, capture_output=True, text=True, check=True)

    assert int(child.stdout) < 96
