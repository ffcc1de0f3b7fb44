from __future__ import annotations

import hashlib
import json
import signal
import socket
import subprocess

import pytest

from actorc.storage import (
    AlreadyExistsError,
    BucketNotEmptyError,
    InvalidParameterError,
    NetworkError,
    NotFoundError,
    StorageError,
    StoragePermissionError,
)
from lucas_storage import ArtifactRef
from lucas_storage.cli.output.exit_codes import exit_code


def lines(result):
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def records(result):
    return [json.loads(line) for line in lines(result)]


def ref_to(client, key, content):
    """Store `content` and return a reference that pins its digest."""
    put = client.put_object("my-bucket", key, content)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    return ArtifactRef(bucket="my-bucket", key=key, digest=digest, size=put["size"], format="bytes@1")


@pytest.fixture
def shelf(client):
    for key in ("a.txt", "b/one", "b/two", "c.txt"):
        client.put_object("my-bucket", key, key.encode())
    return client


def test_ls_lists_buckets(invoke, client):
    client.create_bucket("another")

    assert lines(invoke("ls")) == ["lucas://default/another/", "lucas://default/my-bucket/"]
    assert [bucket["name"] for bucket in records(invoke("ls", "--json"))] == ["another", "my-bucket"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["my-bucket"], ["a.txt", "b/", "c.txt"]),
        (["my-bucket/b/"], ["b/one", "b/two"]),
        (["my-bucket/b"], ["b/"]),
        (["my-bucket/b", "-r"], ["b/one", "b/two"]),
        (["lucas://default/my-bucket/b/"], ["b/one", "b/two"]),
        (["lucas://default/my-bucket", "-r"], ["a.txt", "b/one", "b/two", "c.txt"]),
    ],
)
def test_ls_lists_up_to_the_next_slash_or_everything(invoke, shelf, arguments, expected):
    assert [f"lucas://default/my-bucket/{name}" for name in expected] == lines(invoke("ls", *arguments))


def test_ls_tells_sizes_and_types_if_asked(invoke, shelf):
    size, day, time, kind, name = lines(invoke("ls", "--long", "my-bucket"))[0].split()

    assert (size, kind, name) == ("5", "text/plain", "lucas://default/my-bucket/a.txt")
    assert f"{day} {time}" == f"{shelf.head_object('my-bucket', 'a.txt')['last_modified']:%Y-%m-%d %H:%M:%S}"


def test_ls_prints_one_json_object_per_line(invoke, shelf):
    found = records(invoke("ls", "--json", "my-bucket"))

    assert [entry.get("key", entry.get("prefix")) for entry in found] == ["a.txt", "b/", "c.txt"]
    assert (found[0]["size"], found[0]["content_type"], len(found[0]["crc32c"])) == (5, "text/plain", 8)


@pytest.mark.thorough
@pytest.mark.slow
def test_ls_goes_on_behind_the_first_page(invoke, client):
    for number in range(1001):
        client.put_object("my-bucket", f"{number:04}", b"")

    assert len(lines(invoke("ls", "my-bucket"))) == 1001


def test_ls_shows_keys_that_would_move_the_cursor_encoded(invoke, client):
    client.put_object("my-bucket", "a\x1b[2Jb\nc", b"")

    assert lines(invoke("ls", "my-bucket")) == ["lucas://default/my-bucket/a%1B%5B2Jb%0Ac"]


ODD = [
    " a  b ",
    "a?id=5",
    "a*[1]",
    "100%25",
    'it\'s "$HOME" `x` \\ & ; < > | ( ) { } ~ ! # ^',
    "été/雪",
    "a//b//",
    "-n",
    "=x",
]


@pytest.mark.parametrize("key", ODD)
def test_what_ls_prints_is_one_word_of_a_shell_that_names_the_object(invoke, client, key):
    client.put_object("my-bucket", key, b"content")
    client.put_object("my-bucket", "beside", b"")
    printed = next(line for line in lines(invoke("ls", "-r", "my-bucket")) if not line.endswith("/beside"))
    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {printed}"], capture_output=True, text=True, check=True)

    assert words.stdout == f"{printed}\n"
    assert invoke("cat", printed).stdout == "content"
    assert records(invoke("stat", printed, "--json"))[0]["key"] == key


def test_buckets_are_made_and_removed(invoke, client):
    made = records(invoke("mb", "one", "two", "--json"))
    lines(invoke("mb", "two", "--exist-ok"))
    removed = lines(invoke("rb", "one"))

    assert [bucket["name"] for bucket in made] == ["one", "two"]
    assert removed == []
    assert [bucket["name"] for bucket in client.list_buckets()] == ["my-bucket", "two"]


def test_cat_writes_the_bytes_as_they_are(invoke, client):
    content = bytes(range(256)) * 5000
    client.put_object("my-bucket", "key", content)

    assert invoke("cat", "my-bucket/key").stdout_bytes == content
    assert invoke("cat", "my-bucket/key", "--offset", 10, "--length", 3).stdout_bytes == b"\x0a\x0b\x0c"


def test_cp_copies_a_file_there_and_back(invoke, client, tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n")
    lines(invoke("cp", "data.csv", "lucas://default/my-bucket/tables/t%201.csv"))
    lines(invoke("cp", "lucas://default/my-bucket/tables/t%201.csv", "back/data.csv"))

    assert client.head_object("my-bucket", "tables/t 1.csv")["content_type"] == "text/csv"
    assert (tmp_path / "back" / "data.csv").read_text() == "a,b\n"


def test_cp_takes_over_the_name_where_only_a_directory_is_given(invoke, client, tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n")
    (tmp_path / "folder").mkdir()
    (there,) = records(invoke("cp", "--json", "data.csv", "lucas://default/my-bucket/tables/"))
    (back,) = records(invoke("cp", "--json", "lucas://default/my-bucket/tables/data.csv", "folder"))

    assert (there["key"], there["size"]) == ("tables/data.csv", 4)
    assert (back["file_path"], back["size"]) == ("folder/data.csv", 4)


def test_cp_reads_and_writes_streams(invoke):
    lines(invoke("cp", "-", "lucas://default/my-bucket/key", input=b"from a pipe"))

    assert invoke("cp", "lucas://default/my-bucket/key", "-").stdout == "from a pipe"


@pytest.mark.parametrize("way", ["up", "down"])
def test_cp_replaces_what_is_there_unless_told_not_to(invoke, client, tmp_path, way):
    (tmp_path / "file").write_text("local")
    client.put_object("my-bucket", "file", b"remote")
    ends = ("file", "lucas://default/my-bucket/file")
    ends = ends if way == "up" else ends[::-1]
    refused = invoke("cp", "-n", *ends)
    untouched = ((tmp_path / "file").read_bytes(), client.get_object("my-bucket", "file"))
    lines(invoke("cp", *ends))

    assert refused.exit_code == 6
    assert refused.stderr == f"lucas-storage: {ends[1]} is taken; drop --no-clobber to replace what is there\n"
    assert untouched == (b"local", b"remote")
    assert (tmp_path / "file").read_bytes() == client.get_object("my-bucket", "file")


def test_a_whole_reference_names_its_content(invoke, client, tmp_path):
    ref = ref_to(client, "key", b"content")
    lines(invoke("cp", ref.uri, "copy"))

    assert invoke("cat", ref.uri).stdout == "content"
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_other_bytes_than_a_reference_was_made_for_are_an_error(invoke, client, tmp_path):
    ref = ref_to(client, "key", b"content")
    client.put_object("my-bucket", "key", b"changed")
    shown, copied = invoke("cat", ref.uri), invoke("cp", ref.uri, "folder/copy")

    assert (shown.exit_code, copied.exit_code) == (1, 1)
    assert "do not match the digest in the reference" in copied.stderr
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ls", "No-Bucket"], 2, "is not a bucket name"),
        (["ls", "s3://my-bucket"], 2, "an object is written lucas://STORE/BUCKET/KEY"),
        (["cp", "s3://my-bucket/key", "file"], 2, "a scheme that is not known here"),
        (["cp", "lucas://default/my-bucket/key", "gs://my-bucket/key"], 2, "a scheme that is not known here"),
        (["ls", "lucas://default"], 2, "a store and a bucket, as in lucas://default/BUCKET/KEY"),
        (["cat", "lucas://my-bucket/k"], 2, "a store and a bucket, as in lucas://default/my-bucket/k"),
        (["cp", "lucas://my-bucket/k", "file"], 2, "a store and a bucket, as in lucas://default/my-bucket/k"),
        (["cat", "lucas://my-bucket/folder/k"], 2, "put a store before it if it is a bucket"),
        (["list"], 2, "No such command 'list'. Did you mean 'ls'?"),
        (["servee"], 2, "No such command 'servee'. Did you mean 'serve'?"),
        (["nonsense"], 2, "No such command 'nonsense'."),
        (["ls", "lucas://default/my-bucket/k?n=x"], 2, "write it %3F: lucas://default/my-bucket/k%3Fn=x"),
        (["cat", "my-bucket"], 2, "add a slash and its key"),
        (["cp", "-", "lucas://default/my-bucket/"], 2, "add a slash and its key"),
        (["rb", "my-bucket/key"], 2, "give the name of a bucket alone"),
        (["cp", "here", "there"], 2, "at least one of the two is an object"),
        (["ls", "--data", ".", "--endpoint", "localhost:1"], 2, "exclude each other"),
        (["ls", "lucas://elsewhere/my-bucket"], 2, "no endpoint for store 'elsewhere'"),
        (["ls", "missing"], 3, "missing"),
        (["ls", "my-bucket/none"], 3, "no key begins like this"),
        (["cat", "my-bucket/none"], 3, "none"),
        (["cp", "none", "lucas://default/my-bucket/"], 3, "none: No such file or directory"),
        (["cp", "lucas://default/my-bucket/none", "file"], 3, "none"),
        (["mb", "my-bucket"], 6, "--exist-ok"),
        (["rb", "my-bucket"], 6, "still holds objects"),
    ],
)
def test_a_failure_is_one_line_and_a_code(invoke, client, arguments, code, said):
    client.put_object("my-bucket", "key", b"")
    result = invoke(*arguments)

    assert result.exit_code == code
    assert said in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageError("-"), 1),
        (OSError("-"), 1),
        (ValueError("-"), 1),
        (InvalidParameterError("-"), 2),
        (NotFoundError("-"), 3),
        (FileNotFoundError("-"), 3),
        (StoragePermissionError("-"), 4),
        (PermissionError("-"), 4),
        (NetworkError("-"), 5),
        (AlreadyExistsError("-"), 6),
        (BucketNotEmptyError("-"), 6),
    ],
)
def test_every_kind_of_error_has_its_code(error, code):
    assert exit_code(error) == code


@pytest.mark.thorough
@pytest.mark.slow
def test_a_data_directory_is_made_by_commands_that_write(lucas_storage):
    missing = lucas_storage.run("ls", "--data", "data")
    made = lucas_storage.run("mb", "my-bucket", "--data", "data")
    listed = lucas_storage.run("ls", "--data", "data")

    assert (missing.returncode, made.returncode) == (3, 0), missing.stderr + made.stderr
    assert listed.stdout == "lucas://default/my-bucket/\n"


def test_debug_shows_the_traceback(invoke):
    result = invoke("--debug", "ls", "missing")

    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_a_server_that_is_not_there_is_named_at_once(invoke, free_port, monkeypatch):
    monkeypatch.setenv("STORAGE_ENDPOINT", f"127.0.0.1:{free_port}")
    result = invoke("ls")

    assert result.exit_code == 5
    assert f"no storage server answers at 127.0.0.1:{free_port} (from STORAGE_ENDPOINT)" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_reader_that_stops_reading_ends_the_program_quietly(lucas_storage, client):
    client.put_object("my-bucket", "key", bytes(1 << 20))
    process = lucas_storage.start("cat", "my-bucket/key", "--endpoint", client.endpoint)
    process.stdout.close()

    assert process.stderr.read() == ""
    assert process.wait() == 141


@pytest.mark.slow
def test_an_interrupted_command_ends_quietly(lucas_storage):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = lucas_storage.start("ls", "--endpoint", f"127.0.0.1:{silent.getsockname()[1]}")
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        connection.close()

    assert (process.returncode, said) == (130, "")
