from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from datetime import timedelta

import pytest

from actorc.storage import NotFoundError, StorageClient
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server
from lucas_storage.cli.session import Session
from lucas_storage.cli.transfers import queue, transfer
from lucas_storage.cli.uris import Target

HERE = "lucas://default/my-bucket"
MiB = 1 << 20


def done(result):
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def keys(client, bucket="my-bucket"):
    return [head["key"] for head in client.iter_objects(bucket)]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def tree(tmp_path):
    """A folder with four files, one of them two levels down."""
    for name in ("a.csv", "b.txt", "deep/c.csv", "deep/er/d.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


@pytest.fixture
def shelf(client):
    for key in ("data/a.csv", "data/b.txt", "data/deep/c.csv", "data/deep/er/d.csv", "data2/e.csv"):
        client.put_object("my-bucket", key, key.encode())
    return client


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-r", "data", f"{HERE}"], "data/a.csv data/b.txt data/deep/c.csv data/deep/er/d.csv"),
        (["-r", "data", f"{HERE}/in/"], "in/data/a.csv in/data/b.txt in/data/deep/c.csv in/data/deep/er/d.csv"),
        (["-r", "data", f"{HERE}/as"], "as/a.csv as/b.txt as/deep/c.csv as/deep/er/d.csv"),
        (["-r", "data/.", f"{HERE}/in/"], "in/a.csv in/b.txt in/deep/c.csv in/deep/er/d.csv"),
        (["data/a.csv", "data/b.txt", f"{HERE}/in"], "in/a.csv in/b.txt"),
        (["data/*.csv", f"{HERE}/in"], "in/a.csv"),
        (["data/**/*.csv", f"{HERE}/in"], "in/a.csv in/deep/c.csv in/deep/er/d.csv"),
        (["-r", "data/d*", f"{HERE}/in"], "in/deep/c.csv in/deep/er/d.csv"),
    ],
)
def test_files_are_uploaded_under_these_names(invoke, client, tree, arguments, expected):
    done(invoke("cp", "--json", *arguments))

    assert expected.split() == keys(client)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-r", f"{HERE}/data", "out"], "a.csv b.txt deep/c.csv deep/er/d.csv"),
        (["-r", f"{HERE}/data/", "out/"], "data/a.csv data/b.txt data/deep/c.csv data/deep/er/d.csv"),
        (["-r", HERE, "out"], "data/a.csv data/b.txt data/deep/c.csv data/deep/er/d.csv data2/e.csv"),
        ([f"{HERE}/data/*", "out"], "a.csv b.txt"),
        ([f"{HERE}/data/?.[ct]*", "out"], "a.csv b.txt"),
        ([f"{HERE}/data/**/*.csv", "out"], "a.csv deep/c.csv deep/er/d.csv"),
        ([f"{HERE}/d*/*.csv", "out"], "data/a.csv data2/e.csv"),
        (["-r", f"{HERE}/data/d*", "out"], "deep/c.csv deep/er/d.csv"),
        (["-r", f"{HERE}/**/er", "out"], "data/deep/er/d.csv"),
        ([f"{HERE}/data/a.csv", f"{HERE}/data/b.txt", "out"], "a.csv b.txt"),
    ],
)
def test_objects_are_downloaded_under_these_names(invoke, shelf, tmp_path, arguments, expected):
    records = done(invoke("cp", "--json", *arguments))

    assert expected.split() == files(tmp_path / "out")
    assert {"download"} == {record["action"] for record in records}
    assert all((tmp_path / record["file_path"]).read_bytes() == record["key"].encode() for record in records)


def test_a_directory_that_is_copied_again_goes_to_the_same_place(invoke, shelf, tmp_path):
    for _ in range(2):
        done(invoke("cp", "-r", f"{HERE}/data", "out", "--json"))

    assert files(tmp_path / "out") == ["a.csv", "b.txt", "deep/c.csv", "deep/er/d.csv"]


def test_objects_are_copied_inside_the_server(invoke, client):
    client.create_bucket("another")
    client.put_object("my-bucket", "data/x", b"x", "text/x-x", {"author": "ignis"})
    done(invoke("cp", "-r", "--json", f"{HERE}/data", "lucas://default/another/copy"))
    copy = client.head_object("another", "copy/x")

    assert (copy["content_type"], copy["metadata"]) == ("text/x-x", {"author": "ignis"})
    assert copy["expires_at"] is None


@pytest.mark.parametrize("target", ["lucas://old/another/x", f"{HERE}/x"])
def test_a_copy_lives_for_the_seconds_that_its_source_had_left(invoke, client, monkeypatch, target):
    behind = [3000]
    with local_server(MemoryEngine(clock=lambda: time.time() - behind[0])) as old, old.client() as there:
        there.put_object("my-bucket", "x", b"x", ttl=3600)
        behind[0] = 0
        monkeypatch.setenv("LUCAS_STORAGE_ENDPOINTS", f"old={old.endpoint}")
        done(invoke("cp", "--json", "lucas://old/my-bucket/x", target))
        copy = there.head_object("another", "x") if "another" in target else client.head_object("my-bucket", "x")

    # whole seconds, rounded up, from when it is made: so it may outlive its source by as long as making it took
    left = (copy["expires_at"] - copy["last_modified"]) / timedelta(seconds=1)
    assert left == int(left)
    assert 0 < left <= 600


def test_objects_are_copied_through_here_between_two_servers(invoke, client, monkeypatch):
    client.put_object("my-bucket", "data/x", b"x" * (2 * MiB), "text/x-x", {"author": "ignis"})
    with local_server() as other, other.client() as there:
        monkeypatch.setenv("LUCAS_STORAGE_ENDPOINTS", f"other={other.endpoint}")
        done(invoke("cp", "-r", "--json", f"{HERE}/data", "lucas://other/another/copy"))
        copy = there.head_object("another", "copy/x")

    assert (copy["content_type"], copy["metadata"], copy["size"]) == ("text/x-x", {"author": "ignis"}, 2 * MiB)
    assert copy["crc32c"] == client.head_object("my-bucket", "data/x")["crc32c"]


def test_a_key_that_is_written_with_wildcards_is_itself_first(invoke, client, tmp_path):
    for key in ("a*", "ab", "a[b]"):
        client.put_object("my-bucket", key, key.encode())
    done(invoke("cp", "--json", f"{HERE}/a*", "star"))
    done(invoke("cp", "--json", f"{HERE}/a[b]", "brackets"))
    client.delete_object("my-bucket", "a*")
    done(invoke("cp", "--json", f"{HERE}/a*", "all"))

    assert (tmp_path / "star").read_text() == "a*"
    assert (tmp_path / "brackets").read_text() == "a[b]"
    assert files(tmp_path / "all") == ["a[b]", "ab"]


def test_an_encoded_star_is_no_wildcard(invoke, client, tmp_path):
    for key in ("a*b/1", "a*b/2", "axb/3"):
        client.put_object("my-bucket", key, b"")
    done(invoke("cp", "--json", f"{HERE}/a%2Ab/*", "out"))

    assert files(tmp_path / "out") == ["1", "2"]


def test_what_fails_is_told_and_the_rest_copied(invoke, client, tree, tmp_path):
    os.mkfifo(tree / "pipe")
    (tree / "dangling").symlink_to("nowhere")
    (tree / "round").symlink_to(".")
    result = invoke("cp", "-r", "data", "missing", f"{HERE}/in")
    told = [line for line in result.stderr.splitlines() if line.startswith("lucas-storage: ")]

    assert result.exit_code == 1
    assert [line.split(": ")[1] for line in sorted(told)] == ["data/dangling", "data/pipe", "data/round", "missing"]
    assert "4 copied, " in result.stderr
    assert "4 failed" in result.stderr
    assert len(keys(client)) == 4


def test_an_object_that_vanishes_before_its_turn_is_missing_by_its_name(client, tmp_path):
    client.put_object("my-bucket", "brief", b"x")
    head = client.head_object("my-bucket", "brief")
    waiting = transfer.download(client, head, Target(bucket="my-bucket", key="brief"), tmp_path / "out")
    client.delete_object("my-bucket", "brief")

    with pytest.raises(NotFoundError) as caught:
        waiting.run(lambda *_: None)

    assert (caught.value.filename, files(tmp_path)) == ("my-bucket/brief", [])


def test_the_code_of_what_failed_alone_is_its_own(invoke, client):
    assert invoke("cp", "-r", "missing", HERE).exit_code == 3
    assert invoke("cp", f"{HERE}/none*", "out").exit_code == 3


def test_a_failure_is_also_told_to_programs(invoke, client, tree):
    result = invoke("cp", "--json", "data/a.csv", "missing", HERE)
    copied, failed = sorted(map(json.loads, result.stdout.splitlines()), key=lambda record: record["source"])

    assert (copied["result"], copied["key"], copied["size"]) == ("done", "a.csv", 5)
    assert (failed["source"], failed["code"]) == ("missing", "FileNotFoundError")


def test_a_name_that_is_no_text_fails_alone(invoke, client, tree):
    os.close(os.open(os.fsencode(tree) + b"/\xff\xfe", os.O_CREAT | os.O_WRONLY))
    result = invoke("cp", "-r", "--json", "data", HERE)
    failed = [record for record in map(json.loads, result.stdout.splitlines()) if "error" in record]

    assert result.exit_code == 1
    assert [record["code"] for record in failed] == ["InvalidParameter"]
    assert len(keys(client)) == 4


def test_names_in_any_script_are_printed_as_they_are(invoke, client):
    client.put_object("my-bucket", "数据/表 1*.csv", b"x")
    (record,) = done(invoke("cp", "--json", f"{HERE}/数据/**", "out"))
    again = invoke("cat", record["source"])

    assert record["source"] == f"{HERE}/数据/表%201%2A.csv"
    assert again.stdout == "x"


def test_a_directory_is_copied_only_with_r(invoke, client, tree):
    here, there = invoke("cp", "data", HERE), invoke("cp", f"{HERE}/data", "out")

    assert (here.exit_code, there.exit_code) == (2, 3)
    assert "data is a directory; add -r" in here.stderr


def test_what_is_beneath_a_key_is_copied_only_with_r(invoke, shelf):
    result = invoke("cp", f"{HERE}/data", "out")

    assert result.exit_code == 3
    assert "others are beneath it; add -r" in result.stderr


def test_no_clobber_leaves_out_what_is_there(invoke, shelf, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text("mine")
    down = invoke("cp", "-rn", f"{HERE}/data", "out")
    up = invoke("cp", "-rn", "out", f"{HERE}/data")

    assert (down.exit_code, up.exit_code) == (0, 0)
    assert "3 copied, " in down.stderr
    assert "1 skipped" in down.stderr
    assert "0 copied, " in up.stderr
    assert (tmp_path / "out" / "a.csv").read_text() == "mine"
    assert shelf.get_object("my-bucket", "data/a.csv") == b"data/a.csv"


def test_a_dry_run_tells_and_copies_nothing(invoke, client, tree):
    result = invoke("cp", "-r", "--dry-run", "-j", 1, "data", f"{HERE}/in/")

    assert result.stdout.splitlines() == [
        f"upload data/{name} -> {HERE}/in/data/{name}" for name in ("a.csv", "b.txt", "deep/c.csv", "deep/er/d.csv")
    ]
    assert result.stderr == ""
    assert keys(client) == []


def test_quiet_tells_of_failures_only(invoke, client, tree):
    good, bad = invoke("cp", "-rq", "data", HERE), invoke("cp", "-q", "data/a.csv", "missing", HERE)

    assert (good.output, good.exit_code) == ("", 0)
    assert bad.stderr == "lucas-storage: missing: No such file or directory\n"


def test_a_bucket_is_not_copied_into_itself(invoke, shelf):
    results = [
        invoke("cp", "-r", HERE, f"{HERE}/copy"),
        invoke("cp", "-r", f"{HERE}/data", f"{HERE}/data/copy"),
        invoke("cp", f"{HERE}/data/**", f"{HERE}/data/copy"),
        invoke("cp", f"{HERE}/data/a.csv", f"{HERE}/data/a.csv"),
    ]

    assert [result.exit_code for result in results] == [2, 2, 2, 2]
    assert len(keys(shelf)) == 5


def test_several_sources_with_one_name_are_not_mixed_up(invoke, client, tree, tmp_path):
    (tmp_path / "a.csv").write_text("another")
    result = invoke("cp", "data/a.csv", "a.csv", HERE)

    assert result.exit_code == 1
    assert "would take the place of another one" in result.stderr
    assert client.get_object("my-bucket", "a.csv") == b"a.csv"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "data", HERE], "copied alone"),
        (["-", "file"], "is copied to an object"),
        (["--json", f"{HERE}/key", "-"], "carries the content and nothing else"),
        (["--content-type", "a/b", f"{HERE}/key", f"{HERE}/copy"], "--content-type is for uploads"),
        (["here", "my-bucket/there"], "if 'my-bucket/there' is one, write it like that"),
        (["here", f"{HERE}/key?d=sha256:{'0' * 64}&n=1&f=bytes%401"], "is not written twice"),
    ],
)
def test_what_does_not_go_together_is_a_mistake_of_the_command_line(invoke, arguments, said):
    result = invoke("cp", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]


def test_a_servers_own_data_is_not_copied(invoke, client, tree):
    (tree / ".lucas-storage").mkdir()
    (tree / ".lucas-storage" / "FORMAT").write_text("1")
    done(invoke("cp", "-r", "--json", "data/.", HERE))

    assert len(keys(client)) == 4


class _Watched:
    """Lets a test wait until a transfer has begun."""

    def __init__(self, client):
        self._client = client

    def uploads(self):
        return self._client.list_multipart_uploads("my-bucket")["uploads"]

    def parts(self):
        return [part for each in self.uploads() for part in self._parts(each)]

    def _parts(self, upload):
        return self._client.list_parts("my-bucket", upload["key"], upload["upload_id"])


def sparse(path, size):
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size // 2)
        file.write(b"middle")
    return path


@pytest.mark.thorough
@pytest.mark.slow
def test_an_upload_that_was_killed_is_continued_by_the_same_command(lucas_storage, client, tmp_path):
    sparse(tmp_path / "big", 128 * MiB)
    watched, command = _Watched(client), ("cp", "big", f"{HERE}/big", "--endpoint", client.endpoint)
    # over TCP: a server on the same machine copies the file itself, at once
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "STORAGE_LOCAL": "0"}
    process = lucas_storage.start(*command, env=state)
    while not watched.parts():
        assert process.poll() is None
    process.kill()
    process.wait()
    (upload,) = watched.uploads()
    kept = not client.object_exists("my-bucket", "big")
    again = lucas_storage.run("--debug", *command, env=state)

    assert kept, upload
    assert again.returncode == 0, again.stderr
    assert watched.uploads() == []
    assert client.head_object("my-bucket", "big")["size"] == 128 * MiB
    assert client.get_object("my-bucket", "big", offset=64 * MiB, length=6) == b"middle"


@pytest.mark.thorough
@pytest.mark.slow
def test_a_download_that_was_killed_is_continued_by_the_same_command(lucas_storage, client, tmp_path):
    client.upload_file("my-bucket", "big", sparse(tmp_path / "big", 128 * MiB))
    command = ("cp", f"{HERE}/big", "out/big", "--endpoint", client.endpoint)
    process = lucas_storage.start(*command)
    while not any(path.stat().st_blocks for path in (tmp_path / "out").glob(".download-*.part")):
        assert process.poll() is None
    process.kill()
    process.wait()
    left = files(tmp_path / "out")
    again = lucas_storage.run(*command)

    assert "big" not in left
    assert len(left) == 2
    assert again.returncode == 0, again.stderr
    assert files(tmp_path / "out") == ["big"]
    assert (tmp_path / "out" / "big").read_bytes() == (tmp_path / "big").read_bytes()


@pytest.mark.thorough
@pytest.mark.slow
def test_ctrl_c_ends_all_transfers_and_leaves_nothing_behind(lucas_storage, client, tmp_path):
    source = sparse(tmp_path / "big", 96 * MiB)
    for number in range(4):
        client.upload_file("my-bucket", f"data/{number}", source)
    process = lucas_storage.start("cp", "-r", f"{HERE}/data", "out", "--endpoint", client.endpoint)
    while len(list((tmp_path / "out").glob(".download-*.part"))) < 2:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    left = [name for name in files(tmp_path / "out") if name not in "0123"]

    assert (process.returncode, said) == (130, "")
    assert left == []
    assert all((tmp_path / "out" / name).stat().st_size == 96 * MiB for name in files(tmp_path / "out"))


def test_an_interrupt_closes_connections_under_transfers_that_stand_still(client, monkeypatch):
    meeting, closed, ended = threading.Barrier(3, timeout=20), threading.Event(), []

    class Watched(Session):
        def close(self):
            closed.set()
            super().close()

    def stand_still(_moved):
        meeting.wait()
        ended.append(closed.wait(timeout=20))
        raise ConnectionError

    def interrupted():
        for name in "ab":
            yield queue.Transfer(action="upload", source=name, destination=name, run=stand_still)
        meeting.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(queue.TransferQueue, "patience", 0)
    watched = Watched(client.endpoint, None, as_json=False)
    transfers = queue.TransferQueue(watched, many=True, jobs=2, quiet=True, dry_run=False)
    with pytest.raises(KeyboardInterrupt):
        transfers.run(interrupted())

    assert ended == [True, True]


@pytest.mark.thorough
@pytest.mark.slow
def test_ctrl_c_ends_transfers_that_stand_still(lucas_storage, tmp_path):
    (tmp_path / "data").mkdir()
    for name in "ab":
        (tmp_path / "data" / name).write_text(name)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        process = lucas_storage.start("cp", "-r", "data", HERE, "--endpoint", address)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        connection.close()

    assert (process.returncode, said) == (130, "")


@pytest.mark.slow
def test_a_reader_of_the_records_that_goes_away_ends_the_copy(lucas_storage, client, tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(200):
        (tmp_path / "data" / str(number)).write_text("x")
    process = lucas_storage.start("cp", "-r", "--json", "data", HERE, "--endpoint", client.endpoint)
    process.stdout.close()

    assert process.stderr.read() == ""
    assert process.wait() == 141


def test_several_transfers_run_at_once(invoke, client, tmp_path):
    meeting = threading.Barrier(2, timeout=20)

    class Client(StorageClient):
        def upload_file(self, *arguments, **options):
            meeting.wait()
            return super().upload_file(*arguments, **options)

    (tmp_path / "data").mkdir()
    for name in "ab":
        (tmp_path / "data" / name).write_text(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actorc.storage.client.StorageClient", Client)
        done(invoke("cp", "-r", "--json", "-j", 2, "data", HERE))

    assert not meeting.broken
