"""The client's own part: local files, processes, lazy imports. What it stores is the contract's subject."""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from actorc.storage import InvalidParameterError, NotFoundError, PermissionError, StorageClient, StorageError
from actorc.storage.testing import local_server

MiB = 1 << 20


@pytest.fixture
def client(server):
    with StorageClient(server.endpoint) as it:
        yield it


def leftovers(folder):
    return sorted(found.name for found in folder.iterdir())


@pytest.mark.parametrize("size", [0, 5, MiB + 1])
def test_a_file_makes_the_round_trip(client, tmp_path, size):
    source, target = tmp_path / "report.csv", tmp_path / "deep" / "er" / "copy.csv"
    source.write_bytes(os.urandom(size))
    put = client.upload_file("files", "in/report", source)
    got = client.download_file("files", "in/report", str(target))

    assert target.read_bytes() == source.read_bytes()
    assert put["content_type"] == "text/csv"
    assert (got["file_path"], got["size"], got["etag"]) == (str(target), size, put["etag"])
    assert leftovers(target.parent) == ["copy.csv"]


def test_a_missing_local_file_is_the_builtin_error(client, tmp_path):
    with pytest.raises(FileNotFoundError):
        client.upload_file("files", "key", tmp_path / "nope")


def test_a_directory_given_as_a_file_is_refused(client, tmp_path):
    client.put_object("files", "key", b"x")
    for call in (client.upload_file, client.download_file):
        with pytest.raises(InvalidParameterError, match="is a directory"):
            call("files", "key", tmp_path)


def test_a_device_is_never_replaced_by_a_file(client):
    client.put_object("files", "key", b"x")
    with pytest.raises(InvalidParameterError, match="download_to_stream"):
        client.download_file("files", "key", os.devnull, overwrite=True)

    assert not Path(os.devnull).is_file()


def test_an_existing_target_is_kept_unless_told_otherwise(client, tmp_path):
    target = tmp_path / "kept"
    target.write_bytes(b"mine")
    client.put_object("files", "key", b"theirs")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        client.download_file("files", "key", target)
    assert target.read_bytes() == b"mine"
    client.download_file("files", "key", target, overwrite=True)

    assert target.read_bytes() == b"theirs"
    assert leftovers(tmp_path) == ["kept"]


def test_a_target_made_meanwhile_is_kept_too(client, tmp_path):
    target = tmp_path / "late"
    client.put_object("files", "key", b"x" * (3 * MiB))

    def appear(done, total):
        target.write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        client.download_file("files", "key", target, progress=appear)
    assert (target.read_bytes(), leftovers(tmp_path)) == (b"mine", ["late"])


def test_a_replaced_file_keeps_its_mode_and_a_link_is_followed(client, tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    client.put_object("files", "key", b"new")
    client.download_file("files", "key", link, overwrite=True)

    assert link.is_symlink()
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"new", 0o640)


def test_a_download_that_fails_leaves_no_file_and_no_directory(client, tmp_path):
    with pytest.raises(NotFoundError):
        client.download_file("files", "missing", tmp_path / "new" / "file")

    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("raised", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_download_leaves_nothing(client, tmp_path, raised):
    client.put_object("files", "key", b"x" * (3 * MiB))

    def interrupt(done, total):
        if done > MiB:
            raise raised

    with pytest.raises(raised):
        client.download_file("files", "key", tmp_path / "file", progress=interrupt)
    assert leftovers(tmp_path) == []


def test_a_file_written_to_while_it_is_uploaded_is_not_stored(client, tmp_path):
    source = tmp_path / "log"
    source.write_bytes(b"x" * (3 * MiB))

    def append(done, total):
        with source.open("ab") as file:
            file.write(b"more")

    with pytest.raises(StorageError, match=r"written to|changed"):
        client.upload_file("files", "growing", source, progress=append)
    assert not client.object_exists("files", "growing")


def test_progress_grows_to_the_total(client, tmp_path):
    source, seen = tmp_path / "file", []
    source.write_bytes(b"x" * (3 * MiB + 5))
    client.upload_file("files", "key", source, progress=lambda done, total: seen.append((done, total)))
    up, seen = seen, []
    client.download_to_stream("files", "key", io.BytesIO(), progress=lambda done, total: seen.append((done, total)))

    for steps in (up, seen):
        assert steps == sorted(steps)
        assert steps[-1] == (3 * MiB + 5, 3 * MiB + 5)


def test_a_download_goes_to_any_stream(client):
    client.put_object("files", "key", b"abc", metadata={"a": "b"})
    stream = io.BytesIO(b"before-")
    stream.seek(0, io.SEEK_END)
    head = client.download_to_stream("files", "key", stream)

    assert stream.getvalue() == b"before-abc"
    assert head["metadata"] == {"a": "b"}


@pytest.mark.thorough
def test_more_keys_than_a_page_are_fetched_in_pages(client):
    for number in range(1003):
        client.put_object("many", f"{number:04}", b"")
    some, rest = client.list_objects("many", max_keys=1001), None
    rest = client.list_objects("many", max_keys=1001, page_token=some["next_page_token"])

    assert len(some["objects"]) == 1001
    assert (len(rest["objects"]), rest["is_truncated"]) == (2, False)
    assert [found["key"] for found in client.iter_objects("many")] == [f"{number:04}" for number in range(1003)]


@pytest.mark.parametrize("wrong", [-1, "5", None])
def test_a_page_size_that_makes_no_sense_is_refused(client, wrong):
    with pytest.raises(InvalidParameterError, match="max_keys"):
        client.list_objects("files", max_keys=wrong)


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.get_object("bucket", "key", generation=1 << 63),
        lambda it: it.open_object("bucket", "key", generation=1 << 63),
        lambda it: it.get_object("bucket", "key", if_match="\ud800"),
        lambda it: it.presign_url("bucket", "key", method="PUT", max_size=1 << 63),
        lambda it: it.list_objects("bucket", page_token=5),
        lambda it: it.list_multipart_uploads("bucket", page_token="\udfff"),
        lambda it: it.delete_objects("bucket", None),
        lambda it: it.get_objects("bucket", 7),
        lambda it: it.put_objects("bucket", None),
        lambda it: it.get_ranges("bucket", "key", None),
    ],
)
def test_what_no_message_can_hold_is_refused_by_the_client(client, call):
    with pytest.raises(InvalidParameterError):
        call(client)


@pytest.mark.parametrize("wrong", [0, -5, "5", [1], float("nan"), float("inf")])
def test_a_timeout_that_makes_no_sense_is_refused(client, wrong):
    with pytest.raises(InvalidParameterError, match="timeout"):
        client.head_object("files", "key", timeout=wrong)


def test_text_is_not_data(client):
    with pytest.raises(InvalidParameterError, match="encode"):
        client.put_object("files", "key", "text")


def test_a_missing_object_is_false_and_an_outage_is_not(free_port):
    with StorageClient(f"127.0.0.1:{free_port}") as client, pytest.raises(StorageError):
        client.object_exists("files", "key")


def test_a_closed_client_says_so(server):
    client = StorageClient(server.endpoint)
    client.server_info()
    client.close()
    client.close()

    with pytest.raises(StorageError, match="closed"):
        client.server_info()


def test_a_client_that_went_through_pickle_works_and_carries_no_secret(server):
    client = StorageClient(server.endpoint, "planted-access", "planted-secret", timeout=7)
    data = pickle.dumps(client)
    with pickle.loads(data) as copy:
        copy.put_object("files", "pickled", b"x")

    assert b"planted" not in data
    assert "planted-secret" not in repr(client)


def exchange(client, number):
    """Store, describe, list and read what nobody else has; return whether every answer is to that."""
    key, data = f"{os.getpid()}/{number}", f"{os.getpid()}-{number}-".encode() * (1 + number * 3001)
    put = client.put_object("crowd", key, data, metadata={"number": str(number)})
    head = client.head_object("crowd", key)
    listed = client.list_objects("crowd", key)["objects"]
    return (
        client.get_object("crowd", key) == data
        and (head["etag"], head["metadata"]) == (put["etag"], {"number": str(number)})
        and put["etag"] in [found["etag"] for found in listed]
    )


def exchange_in_threads(client, threads):
    with ThreadPoolExecutor(threads) as pool:
        return all(pool.map(partial(exchange, client), range(2 * threads)))


def use_in_child(client, answers):
    answers.put((exchange_in_threads(client, 8), client.get_object("files", "shared")))


@pytest.mark.thorough
@pytest.mark.slow
def test_64_threads_share_a_client_and_every_reply_reaches_its_caller(client):
    assert exchange_in_threads(client, 64)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", [pytest.param("fork", marks=pytest.mark.forks), "spawn", "forkserver"])
def test_a_client_in_use_goes_on_in_child_processes_and_in_the_parent(client, method):
    client.put_object("files", "shared", b"both")
    exchange_in_threads(client, 8)
    context = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    children = [context.Process(target=use_in_child, args=(client, answers)) for _ in range(2)]
    for child in children:
        child.start()
    parent = exchange_in_threads(client, 8)
    for child in children:
        child.join(60)

    assert [child.exitcode for child in children] == [0, 0]
    assert [answers.get(), answers.get()] == [(True, b"both"), (True, b"both")]
    assert (parent, client.get_object("files", "shared")) == (True, b"both")


@pytest.mark.parametrize("module", ["actorc.storage", "actorc.storage.client", "actorc"])
def test_importing_the_client_loads_neither_grpc_nor_protobuf(module):
    code = f"import sys, {module}; print([m for m in sys.modules if m.partition('.')[0] in ('grpc', 'google')])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


def test_the_builtin_permission_error_catches_ours():
    assert issubclass(PermissionError, OSError)


def test_a_client_that_nobody_closed_ends_without_a_warning(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with local_server() as running:
        client = StorageClient(running.endpoint)
        client.put_object("bucket", "key", b"")
        client.itself = client  # a cycle, whose parts the collector finalizes in any order
        del client
        gc.collect()

    assert told == []
