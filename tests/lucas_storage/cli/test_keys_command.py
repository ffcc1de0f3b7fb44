from __future__ import annotations

import json
import re

import pytest

from actorc.storage import BucketNotFoundError, StorageClient, UnauthenticatedError
from actorc.storage.local_server.shared_files import make_private, published, serving
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.key_file import add_key, read_keys
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


def test_a_key_gets_another_secret_ready_for_the_environment_and_the_old_one_is_told_its_end(invoke, made, tmp_path):
    key = made("--allow", "read:b")
    text = invoke("keys", "rotate", key["access_key"], "--for", "15m", "--data", "data")
    record = json.loads(invoke("keys", "rotate", key["access_key"], "--for", "0s", "--json", "--data", "data").stdout)

    printed = re.fullmatch(r"STORAGE_ACCESS_KEY=(AK[A-Z2-7]{18})\nSTORAGE_SECRET_KEY=([\w-]{40})\n", text.stdout)
    assert printed[1] == record["access_key"] == key["access_key"]
    assert len({printed[2], record["secret_key"], key["secret_key"]}) == 3
    assert re.search(r"secret key that it had works until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text.stderr)
    assert (record["former_until"], record["allow"]) == (None, ["read:b"])
    assert read_keys(tmp_path / "data" / "keys.json")[key["access_key"]].former == ()


def test_a_list_tells_until_when_a_former_secret_works(invoke, made):
    key = made("--allow", "read:b")
    invoke("keys", "rotate", key["access_key"], "--data", "data")

    assert "(former secret key until 2" in invoke("keys", "list", "--data", "data").stdout


def test_a_key_is_enabled_again_and_removed_once_it_is_disabled(invoke, made):
    key = made()["access_key"]
    steps = ("remove", "disable", "enable", "remove", "disable", "remove", "enable")
    codes = [invoke("keys", step, key, "--data", "data").exit_code for step in steps]

    assert codes == [6, 0, 0, 6, 0, 0, 3]
    assert listed(invoke) == []


@pytest.mark.parametrize("given", ["-1s", "31d", "soon"])
def test_a_time_that_is_none_is_refused(invoke, made, given):
    assert invoke("keys", "rotate", made()["access_key"], "--for", given, "--data", "data").exit_code == 2


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A server that only its address leads to, and the key of who may do everything there, in the environment."""
    file = tmp_path / "elsewhere.json"
    key, secret = add_key(file, [EVERYTHING])
    with local_server(http=True, keys=file) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
        monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
        yield server, file


def test_keys_of_a_server_elsewhere_are_made_listed_and_changed(invoke, elsewhere, tmp_path):
    server, file = elsewhere
    made = json.loads(invoke("keys", "add", "--allow", "read:bbb", "--comment", "Zoë", "--json").stdout)
    name = made["access_key"]
    with server.client(access_key=name, secret_key=made["secret_key"]) as client, pytest.raises(BucketNotFoundError):
        client.get_object("bbb", "key")
    rotated = json.loads(invoke("keys", "rotate", name, "--for", "0s", "--json").stdout)
    states = []
    for step in ("disable", "enable", "disable"):
        assert (
            json.loads(invoke("keys", step, name, "--json", "--endpoint", server.endpoint).stdout)["access_key"] == name
        )
        states.append(read_keys(file)[name].disabled)
    shown = invoke("keys", "list").stdout.splitlines()
    removed = invoke("keys", "remove", name)

    assert (made["comment"], made["allow"]) == ("Zoë", ["read:bbb"])
    assert rotated["secret_key"] != made["secret_key"]
    assert states == [True, False, True]
    assert shown[1].startswith(f"{name}  disabled  ")
    assert (removed.exit_code, removed.stdout, list(read_keys(file))) == (0, "", [shown[0].split()[0]])
    assert not (tmp_path / ".lucas-storage").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("disable", "AKNOBODY"), 3, "no access key"),
        (("rotate", "a/../b?c#d"), 3, "no access key 'a/../b?c#d'"),
        (("disable", ""), 2, "'' is no access key"),
        (("enable", "x" * 300), 2, "is no access key"),
        (("add", "--allow", "fly:b"), 2, "allow"),
        (("add", "--admin", "--data", "data", "--endpoint", "localhost:1"), 2, "without --data"),
        (("list", "--keys", "file", "--profile", "other"), 2, "without --data"),
    ],
)
def test_what_is_wrong_about_a_server_elsewhere_is_told(invoke, elsewhere, arguments, code, told):
    result = invoke("keys", *arguments)

    assert (result.exit_code, result.stdout) == (code, "")
    assert told in result.stderr


def test_the_key_in_use_is_not_disabled_by_itself(invoke, elsewhere):
    (admin,) = read_keys(elsewhere[1])
    result = invoke("keys", "disable", admin)

    assert result.exit_code == 2
    assert "use another key that allows everything" in result.stderr


def test_who_may_not_do_everything_is_told_which_key_it_takes(invoke, elsewhere, monkeypatch):
    key, secret = add_key(elsewhere[1], [Statement.parse("read,list:*")])
    monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
    monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
    result = invoke("keys", "list")

    assert (result.exit_code, result.stdout) == (4, "")
    assert "made with --admin" in result.stderr


def test_a_server_without_keys_gets_none_from_elsewhere(invoke, monkeypatch):
    with local_server(http=True) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        result = invoke("keys", "add", "--admin")

    assert result.exit_code == 4
    assert "keys add --data DIR" in result.stderr


def test_a_server_without_http_is_told_to_have_it(invoke, monkeypatch):
    with local_server() as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        result = invoke("keys", "list")

    assert result.exit_code == 1
    assert "start it with --http" in result.stderr


def test_a_key_that_does_not_exist_is_not_disabled(invoke, made):
    made()
    result = invoke("keys", "disable", "AKNONE", "--data", "data")

    assert result.exit_code == 3
    assert "'lucas-storage keys list' shows them" in result.stderr


def test_without_keys_there_is_nothing_to_list(invoke, tmp_path, monkeypatch):
    monkeypatch.delenv("STORAGE_ENDPOINT", raising=False)
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
