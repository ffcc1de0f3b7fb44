from __future__ import annotations

import json
import re

import pytest

from actorc.storage import BucketNotFoundError, StorageClient, UnauthenticatedError
from actorc.storage.local_server.shared_files import make_private, published, serving
from actorc.storage.server.auth.key_file import read_keys
from actorc.storage.testing import local_server


@pytest.fixture
def made(invoke):
    """Make a key and return what was printed about it."""

    def make(*arguments):
        result = invoke("keys", "add", "--json", "--data", "data", *(arguments or ("--admin",)))
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return make


def listed(invoke, *arguments):
    result = invoke("keys", "list", "--json", "--data", "data", *arguments)
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_new_key_is_printed_ready_for_the_environment(invoke, tmp_path):
    result = invoke("keys", "add", "--data", "data", "--allow", "read,list:team-*/reports/")

    printed = re.fullmatch(r"STORAGE_ACCESS_KEY=(AK[A-Z2-7]{18})\nSTORAGE_SECRET_KEY=([\w-]{40})\n", result.stdout)
    keys = tmp_path / "data" / "keys.json"
    key = read_keys(keys)[printed[1]]
    with (
        local_server(keys=keys) as server,
        server.client(access_key=printed[1], secret_key=printed[2]) as client,
        pytest.raises(BucketNotFoundError),
    ):
        client.get_object("team-a", "reports/1")
    assert "cannot be shown again" in result.stderr
    assert [str(each) for each in key.statements] == ["read,list:team-*/reports/"]


def test_no_key_is_put_into_a_directory_of_other_things(invoke, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").touch()

    result = invoke("keys", "add", "--admin", "--data", "home")

    assert result.exit_code == 2
    assert "such as 'thesis.tex'; choose an empty one" in result.stderr
    assert [each.name for each in home.iterdir()] == ["thesis.tex"]


def test_the_key_that_was_printed_opens_a_server(invoke, made, tmp_path, monkeypatch):
    key = made("--allow", "list:my-bucket", "--allow", "read:other-*/a/", "--comment", "the team's")
    with local_server(keys=tmp_path / "data" / "keys.json") as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        before = invoke("ls")
        monkeypatch.setenv("STORAGE_ACCESS_KEY", key["access_key"])
        monkeypatch.setenv("STORAGE_SECRET_KEY", key["secret_key"])
        after = invoke("ls")

    assert (before.exit_code, after.exit_code) == (4, 0)
    assert "set STORAGE_ACCESS_KEY" in before.stderr
    assert key["allow"] == ["list:my-bucket", "read:other-*/a/"]


def test_keys_are_listed_in_the_order_they_were_made_without_what_proves_them(invoke, made, tmp_path):
    keys = [made("--admin", "--comment", "first"), made("--allow", "read:b"), made()]
    invoke("keys", "disable", keys[1]["access_key"], "--data", "data")

    records = listed(invoke)
    text = invoke("keys", "list", "--data", "data").stdout

    assert [each["access_key"] for each in records] == [each["access_key"] for each in keys]
    assert [each["disabled"] for each in records] == [False, True, False]
    assert [each["comment"] for each in records] == ["first", "", ""]
    assert re.search(rf"{keys[1]['access_key']}  disabled  \d{{4}}-\d\d-\d\d  read:b\n", text)
    for each, known in zip(keys, read_keys(tmp_path / "data" / "keys.json").values(), strict=True):
        assert each["secret_key"] not in text + json.dumps(records)
        assert known.key.hex() not in text + json.dumps(records)


def test_a_disabled_key_stays_disabled(invoke, made):
    key = made()
    results = [invoke("keys", "disable", key["access_key"], "--data", "data") for _ in range(2)]

    assert [result.exit_code for result in results] == [0, 0]
    assert [each["disabled"] for each in listed(invoke)] == [True]


def test_a_key_that_does_not_exist_is_not_disabled(invoke, made):
    made()
    result = invoke("keys", "disable", "AKNONE", "--data", "data")

    assert result.exit_code == 3
    assert "'lucas-storage keys list' shows them" in result.stderr


def test_without_keys_there_is_nothing_to_list(invoke, tmp_path):
    result = invoke("keys", "list")

    assert (result.exit_code, result.stdout) == (0, "")
    assert not (tmp_path / ".lucas-storage").exists()


@pytest.mark.parametrize(
    "arguments", [(), ("--admin", "--allow", "read:b"), ("--allow", "reed:b"), ("--allow", "read")]
)
def test_a_key_for_nothing_or_for_nonsense_is_not_made(invoke, tmp_path, arguments):
    result = invoke("keys", "add", "--data", "data", *arguments)

    assert result.exit_code == 2
    assert not (tmp_path / "data").exists()


def test_a_file_of_keys_may_be_anywhere(invoke, tmp_path):
    invoke("keys", "add", "--admin", "--keys", "etc/our-keys.json")

    assert len(read_keys(tmp_path / "etc" / "our-keys.json")) == 1


def test_a_damaged_file_of_keys_is_not_overwritten(invoke, tmp_path):
    (tmp_path / "keys.json").write_text("{")
    result = invoke("keys", "add", "--admin", "--keys", "keys.json")

    assert result.exit_code == 1
    assert "is damaged" in result.stderr
    assert (tmp_path / "keys.json").read_text() == "{"


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("listen", "expected"), [("127.0.0.1:0", []), ("0.0.0.0:0", ["the server is reachable from other machines"])]
)
def test_a_server_with_keys_says_when_others_can_listen_in(lucas_storage, listen, expected):
    lucas_storage.run("keys", "add", "--admin", "--data", "data")
    server = lucas_storage.start("serve", "--data", "data", "--listen", listen, "--http", "off")
    lines = []
    for line in server.stderr:  # to its end; what is buffered here, communicate would miss
        if "serving" in line and "serving" not in "".join(lines):
            server.terminate()
        lines.append(line)
    assert server.wait() == 0
    warnings = [line for line in lines if "WARNING" in line]

    assert [text for text in expected if text not in "".join(warnings)] == []
    assert len(expected) == len(warnings)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_key_closes_a_running_server_and_its_owners_commands_go_on(lucas_storage, workers):
    process = lucas_storage.start("serve", "--listen", "127.0.0.1:0", "--http", "off", "--workers", workers)
    while "no access keys" not in (line := process.stderr.readline()):
        assert line, process.wait()
    file = lucas_storage.folder / ".lucas-storage" / "endpoint.json"
    before = json.loads(file.read_text())
    open_to_all = lucas_storage.run("mb", "my-bucket")
    added = lucas_storage.run("keys", "add", "--allow", "read:nothing")
    listed = lucas_storage.run("ls")
    after = json.loads(file.read_text())
    with StorageClient(before["endpoint"]) as stranger, pytest.raises(UnauthenticatedError):
        stranger.list_buckets()
    process.terminate()
    process.communicate()

    assert (open_to_all.returncode, added.returncode) == (0, 0)
    assert "A server runs" not in added.stderr
    assert (listed.stdout, listed.stderr) == ("lucas://default/my-bucket/\n", "")
    assert "access_key" not in before
    assert {name: after[name] for name in before} == before
    assert not file.exists()


@pytest.mark.thorough
@pytest.mark.slow
def test_who_adds_a_key_is_told_what_to_set_for_a_server_of_an_earlier_version(lucas_storage):
    data = lucas_storage.folder / ".lucas-storage"
    make_private(data)
    with local_server() as earlier, serving(data, 1), published(data / "endpoint.json", {"endpoint": earlier.endpoint}):
        added = lucas_storage.run("keys", "add", "--admin")
        ls, run = lucas_storage.run("ls"), lucas_storage.run("run", lucas_storage.script("print('ran')"))

    assert "tells your own commands no key; set both variables for them, or start it again" in added.stderr
    assert "of an earlier version and lets in every user of this machine; end it" in ls.stderr
    assert (run.stdout, run.stderr) == ("ran\n", ls.stderr)
