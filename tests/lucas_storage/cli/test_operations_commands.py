"""`fsck`, `config` and `doctor`: what they find, what they advise, and what they never show."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from click.testing import CliRunner

from actorc.storage import StorageClient
from actorc.storage.testing import local_server
from lucas_storage.cli.program import program

MiB = 1 << 20


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Run a command in this process, in an empty folder, with no server."""
    monkeypatch.chdir(tmp_path)
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))

    def run(*arguments):
        return CliRunner().invoke(program, [str(each) for each in arguments], prog_name="lucas-storage")

    return run


@pytest.fixture
def data(tmp_path):
    """A data directory with a small and a large object."""
    with local_server(str(tmp_path / "store")) as server, server.client() as client:
        client.put_object("bucket", "small", b"data")
        client.put_object("bucket", "large", bytes(2 * MiB))
    return tmp_path / "store"


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def damage(data):
    (blob,) = [path for path in (data / "blobs").rglob("*") if path.is_file()]
    blob.chmod(0o600)
    with blob.open("r+b") as file:
        file.seek(MiB)
        file.write(b"x")
    return blob


def test_a_directory_without_damage_is_clean(alone, data):
    result = alone("fsck", data)

    assert (result.exit_code, result.stdout) == (0, "nothing is damaged\n")


def test_damage_is_found_and_makes_the_exit_code(alone, data):
    damage(data)

    text, found = alone("fsck", data), alone("fsck", data, "--json")

    assert (text.exit_code, found.exit_code) == (1, 1)
    assert text.stdout == "damaged       large  the bytes do not match their checksums\n"
    assert lines(found) == [{"kind": "damaged", "subject": "large", "detail": "the bytes do not match their checksums"}]


def test_a_lost_blob_is_damage(alone, data):
    damage(data).unlink()

    result = alone("fsck", data)

    assert result.exit_code == 1
    assert "cannot be read" in result.stdout


def test_leftovers_are_told_and_are_no_damage(alone, data):
    (data / "blobs" / "notes").touch()

    result = alone("fsck", data, "--json")

    assert (result.exit_code, [each["kind"] for each in lines(result)]) == (0, ["leftover"])


def test_a_lost_index_is_rebuilt_when_told_twice(alone, data):
    (data / "meta" / "meta.db").write_bytes(b"")

    planned, done = alone("fsck", data, "--rebuild"), alone("fsck", data, "--rebuild", "--yes", "--json")

    assert (planned.exit_code, done.exit_code) == (1, 1)  # the small object is lost
    assert planned.stdout.endswith("1 lost, 1 restored; nothing was changed; add --yes to put this index in place\n")
    assert {(each["kind"], each["subject"]) for each in lines(done)} == {
        ("lost", "meta.db"),
        ("restored", "bucket/large"),
    }
    assert alone("fsck", data).stdout == "nothing is damaged\n"
    with local_server(str(data)) as server, server.client() as client:
        assert client.get_object("bucket", "large") == bytes(2 * MiB)


def test_files_without_an_object_are_put_away_adopted_and_removed_when_told(alone, data):
    (data / "meta").rename(data / "kept")
    alone("fsck", data, "--rebuild", "--yes")
    with local_server(str(data)) as server, server.client() as client:
        client.put_object("bucket", "later", bytes(MiB))
    for name in ("meta", *(path.name for path in data.glob("meta.damaged-*"))):
        shutil.rmtree(data / name)
    (data / "kept").rename(data / "meta")

    assert alone("fsck", data, "--accept").stdout == "1 files put into quarantine\n"
    told = alone("fsck", data)
    assert (told.exit_code, "written as bucket/later" in told.stdout) == (0, True)
    adopted = alone("fsck", data, "--adopt")
    assert (adopted.exit_code, adopted.stdout.splitlines()[-1]) == (0, "1 restored")
    assert alone("fsck", data, "--adopt").stdout == "nothing to give back\n"
    (emptied,) = lines(alone("fsck", data, "--empty-quarantine", "--json"))
    assert emptied == {"kind": "empty", "detail": "0 files removed from quarantine"}


def test_a_directory_that_is_in_use_is_refused(alone, tmp_path):
    with local_server(str(tmp_path / "store")):
        result = alone("fsck", tmp_path / "store")

    assert result.exit_code == 1
    assert "is in use by process" in result.stderr


def test_what_is_no_data_directory_is_left_alone(alone, tmp_path):
    (tmp_path / "folder").mkdir()

    result = alone("fsck", tmp_path / "folder")

    assert result.exit_code == 2
    assert "is no data directory" in result.stderr
    assert list((tmp_path / "folder").iterdir()) == []


def test_settings_are_shown_with_their_origins(alone, tmp_path, monkeypatch):
    (tmp_path / "XDG_CONFIG_HOME").mkdir()
    file = tmp_path / "XDG_CONFIG_HOME" / "lucas-storage.toml"
    file.write_text('bucket = "from-file"\n')
    monkeypatch.setenv("STORAGE_ENDPOINT", "host:9")
    monkeypatch.setenv("LUCAS_STORAGE_ENDPOINTS", "far=elsewhere:1")
    monkeypatch.setenv("STORAGE_USE_SSL", "1")

    found = {each["name"]: (each["value"], each["origin"]) for each in lines(alone("config", "--json"))}

    assert found["endpoint"] == ("host:9", "STORAGE_ENDPOINT")
    assert found["endpoints.far"] == ("elsewhere:1", "LUCAS_STORAGE_ENDPOINTS")
    assert found["bucket"] == ("from-file", str(file))
    assert found["use_ssl"] == (True, "STORAGE_USE_SSL")
    assert found["inline_max"] == (65536, "built-in default")
    assert found["signing_key"] == (None, "built-in default")


def test_no_secret_is_shown(alone, monkeypatch):
    secrets = {
        "STORAGE_ACCESS_KEY": "planted-access-key",
        "STORAGE_SECRET_KEY": "planted-secret-key",
        "LUCAS_STORAGE_SIGNING_KEY": "planted-signing-key",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)

    shown = [
        alone("config").stdout,
        alone("config", "--json").stdout,
        alone("doctor", "--endpoint", "127.0.0.1:1").output,
    ]

    assert "planted" not in "".join(shown)
    assert re.search(r"^secret_key +…  \(STORAGE_SECRET_KEY\)$", shown[0], re.MULTILINE)


def status(result):
    return {each["about"]: each["status"] for each in lines(result)}


WELL = dict.fromkeys(
    ["python", "grpcio", "protobuf", "actorc", "cache", "signing key", "endpoint", "server", "clock", "bucket"], "ok"
)


def test_a_sound_installation_is_well(alone, tmp_path, monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY", "made-for-this-test-alone")
    with local_server(str(tmp_path / "store")) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)

        result = alone("doctor", "--json")

        with server.client() as client:
            left = client.list_objects("lucas-artifacts")["objects"]
    found = {each["about"]: each["found"] for each in lines(result)}
    assert (result.exit_code, status(result)) == (0, WELL)
    assert found["endpoint"] == f"{server.endpoint} (from STORAGE_ENDPOINT)"
    assert left == []


def test_what_is_missing_is_told_with_what_to_do(alone):
    with local_server(auto_create_buckets=False) as server:
        result = alone("doctor", "--endpoint", server.endpoint)

    assert result.exit_code == 0
    assert re.search(r"^warn  signing key  .*set LUCAS_STORAGE_SIGNING_KEY", result.stdout, re.MULTILINE)
    assert re.search(r"^warn  server .*not durable; serve a directory with --data", result.stdout, re.MULTILINE)
    assert re.search(r"^warn  bucket .*lucas-storage mb lucas-artifacts", result.stdout, re.MULTILINE)


def test_a_server_that_does_not_answer_is_a_failure(alone, free_port):
    result = alone("doctor", "--endpoint", f"127.0.0.1:{free_port}")

    assert result.exit_code == 1
    assert re.search(
        r"^fail  endpoint .*\(from --endpoint\) gives no answer.*lucas-storage serve", result.stdout, re.MULTILINE
    )
    assert not re.search(r"timeout=|lucas_storage\.local|StorageError|NetworkError", result.stdout)
    assert "bucket" not in result.stdout


def test_a_cache_that_cannot_be_written_is_a_failure(alone, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LUCAS_STORAGE_CACHE", str(tmp_path / "file" / "cache"))
    with local_server() as server:
        result = alone("doctor", "--endpoint", server.endpoint, "--json")

    assert (result.exit_code, status(result)["cache"]) == (1, "fail")


def test_a_key_that_may_not_write_is_no_failure(alone, tmp_path, monkeypatch):
    key = lines(alone("keys", "add", "--data", tmp_path / "store", "--allow", "read,list:lucas-*", "--json"))[0]
    admin = lines(alone("keys", "add", "--data", tmp_path / "store", "--admin", "--json"))[0]
    monkeypatch.setenv("STORAGE_ACCESS_KEY", key["access_key"])
    monkeypatch.setenv("STORAGE_SECRET_KEY", key["secret_key"])
    with local_server(str(tmp_path / "store")) as server:
        with StorageClient(server.endpoint, admin["access_key"], admin["secret_key"]) as client:
            client.create_bucket("lucas-artifacts")
        result = alone("doctor", "--endpoint", server.endpoint, "--json")

    assert (result.exit_code, status(result)["bucket"]) == (0, "warn")


@pytest.mark.thorough
@pytest.mark.slow
def test_the_server_of_a_data_directory_is_looked_at(lucas_storage):
    lucas_storage.run("mb", "bucket", "--data", "store")

    result = lucas_storage.run("doctor", "--data", "store", "--json")

    found = {each["about"]: each["found"] for each in map(json.loads, result.stdout.splitlines())}
    assert result.returncode == 0
    assert found["endpoint"].endswith("(from the server of store)")
