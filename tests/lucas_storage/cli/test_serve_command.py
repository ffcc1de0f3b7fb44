from __future__ import annotations

import fcntl
import json
import logging
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest
from click.testing import CliRunner

from actorc.storage import BucketNotFoundError, StorageClient, UnauthenticatedError
from lucas_storage.cli.program import program


@pytest.fixture
def serve(lucas_storage):
    """Start a server and return it with a client, once it answers."""

    def start(*arguments):
        file = lucas_storage.folder / "address.json"
        process = lucas_storage.start(
            "serve", "--listen", "127.0.0.1:0", "--http", "off", "--endpoint-file", file, *arguments
        )
        while "serving" not in (line := process.stderr.readline()):
            assert line, process.wait()
        return process, StorageClient(json.loads(file.read_text())["endpoint"])

    return start


@pytest.mark.slow
def test_a_server_serves_until_it_is_interrupted(serve):
    process, client = serve("--data", "data")
    with client:
        client.create_bucket("my-bucket")
        client.put_object("my-bucket", "key", b"value")
        value = client.get_object("my-bucket", "key")
    process.send_signal(signal.SIGINT)
    process.communicate()

    assert value == b"value"
    assert process.returncode == 0


@pytest.mark.thorough
@pytest.mark.slow
def test_a_server_can_make_buckets_as_they_are_written_to(serve):
    _, client = serve("--engine", "memory://", "--auto-create-buckets")
    with client:
        client.put_object("my-bucket", "key", b"value")

        assert client.bucket_exists("my-bucket")


@pytest.mark.thorough
@pytest.mark.slow
def test_a_server_can_end_with_its_last_user(serve, lucas_storage):
    with (lucas_storage.folder / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        process, _ = serve("--engine", "memory://", "--linger-lock", users.name)
    process.communicate()

    assert process.returncode == 0


@pytest.fixture
def log_settings(caplog, monkeypatch):
    """Give this process the log settings back that it had, which a server sets for the process that it is."""
    for name in (None, "actorc"):
        caplog.set_level(logging.WARNING, logger=name)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("log_settings")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "memory://", "--private"], "a private server tells its key in its data directory"),
        (["--engine", "memory://", "--data", "data"], "needs either a data directory or the URL of an engine"),
        (["--engine", "memory://", "--listen", "0.0.0.0:0"], "reachable from other machines"),
        (["--engine", "memory://", "--listen", "here"], "no address to listen on"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(invoke, arguments, said):
    result = invoke("serve", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_program_is_told_about_without_loading_what_it_runs():
    heavy = {"grpc", "google.protobuf", "numpy", "rich", "lucas_storage.embedded", "actorc.storage.server"}
    code = (
        "import sys; from lucas_storage.cli.program import program; program(['--help'], standalone_mode=False); "
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_without_options_data_lie_here_and_every_command_finds_the_server(lucas_storage, monkeypatch):
    process = lucas_storage.start("serve", "--listen", "127.0.0.1:0", "--http", "off")
    while "no access keys" not in (line := process.stderr.readline()):
        assert line, process.wait()
    told = json.loads((lucas_storage.folder / ".lucas-storage" / "endpoint.json").read_text())
    lucas_storage.script(
        """
        from actorc.storage import StorageClient
        client = StorageClient()
        client.put_object("made-on-first-write", "key", b"")
        print(client.endpoint, client.access_key)
        """
    )
    ran = lucas_storage.run("run", "script.py")

    assert "keys add --admin --data .lucas-storage'" in line
    assert ran.stdout == f"{told['endpoint']} None\n", ran.stderr
    monkeypatch.chdir(lucas_storage.folder)
    assert CliRunner().invoke(program, ["ls"]).stdout == "lucas://default/made-on-first-write/\n"
    assert "access_key" not in told


@pytest.mark.slow
def test_a_private_server_lets_in_whoever_finds_its_key(lucas_storage, monkeypatch):
    process = lucas_storage.start("serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--private")
    while "presigned URLs" not in (line := process.stderr.readline()):
        assert line, process.wait()
    endpoint = json.loads((lucas_storage.folder / ".lucas-storage" / "endpoint.json").read_text())["endpoint"]
    with StorageClient(endpoint) as stranger, pytest.raises(UnauthenticatedError):
        stranger.list_buckets()
    monkeypatch.chdir(lucas_storage.folder)
    with StorageClient(endpoint) as client:
        client.create_bucket("my-bucket")
        client.put_object("my-bucket", "key", b"value")
        url = client.presign_url("my-bucket", "key")
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"value"


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--auto-create-buckets",)], ids=["as it is", "told to make buckets"])
def test_the_first_key_ends_that_any_write_makes_a_bucket(serve, lucas_storage, options):
    _, anybody = serve("--data", "data", "--http", "off", *options)
    with anybody:
        anybody.put_object("my-bucket", "key", b"made by the first write")
    added = lucas_storage.run("keys", "add", "--data", "data", "--allow", "read,write:*", "--json")
    key = json.loads(added.stdout)
    with StorageClient(anybody.endpoint, key["access_key"], key["secret_key"]) as writer:
        writer.put_object("my-bucket", "key", b"written with a key")
        if options:
            writer.put_object("another-bucket", "key", b"made by whoever may write there")
        else:
            with pytest.raises(BucketNotFoundError, match=r"may not make it; use one made with --allow 'admin:another"):
                writer.put_object("another-bucket", "key", b"")


@pytest.mark.thorough
@pytest.mark.slow
def test_a_server_as_a_module_needs_no_options_either(lucas_storage):
    module = (sys.executable, "-m", "actorc.storage.server")
    process = lucas_storage.start("--listen", "127.0.0.1:0", program=module)
    while "no access keys" not in (line := process.stderr.readline()):
        assert line, process.wait()
    told = json.loads((lucas_storage.folder / ".lucas-storage" / "endpoint.json").read_text())
    with StorageClient(told["endpoint"]) as client:
        client.put_object("my-bucket", "data/content.txt", b"Hello, Storage!", metadata={"author": "ignis"})

        assert client.get_object("my-bucket", "data/content.txt") == b"Hello, Storage!"
