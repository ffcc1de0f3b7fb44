from __future__ import annotations

import json

import pytest

from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server


def records(result):
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def keys(client):
    return [head["key"] for head in client.iter_objects("my-bucket")]


@pytest.fixture
def shelf(client):
    for key in ("a.txt", "b", "b/one", "b/two/x", "c.txt", "d*", "dd"):
        client.put_object("my-bucket", key, key.encode())
    return client


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["my-bucket/a.txt", "my-bucket/dd"], "b b/one b/two/x c.txt d*"),
        (["my-bucket/*.txt"], "b b/one b/two/x d* dd"),
        (["my-bucket/d*"], "a.txt b b/one b/two/x c.txt dd"),
        (["my-bucket/**"], ""),
        (["-r", "my-bucket/b"], "a.txt c.txt d* dd"),
        (["-r", "my-bucket/b/"], "a.txt b c.txt d* dd"),
        (["-r", "my-bucket/b/t?o"], "a.txt b b/one c.txt d* dd"),
        (["-r", "my-bucket"], ""),
        (["-f", "my-bucket/none", "my-bucket/b"], "a.txt b/one b/two/x c.txt d* dd"),
        (["-f", "my-bucket/none*"], "a.txt b b/one b/two/x c.txt d* dd"),
        (["-r", "--dry-run", "my-bucket"], "a.txt b b/one b/two/x c.txt d* dd"),
    ],
)
def test_what_is_named_is_removed(invoke, shelf, arguments, left):
    removed = records(invoke("rm", "--json", *arguments))

    assert left.split() == keys(shelf)
    assert {"delete"} >= {record["action"] for record in removed}


def test_what_cannot_be_removed_is_told_and_the_rest_removed(invoke, shelf):
    result = invoke("rm", "my-bucket/a.txt", "my-bucket/none", "my-bucket/c.txt", "missing/key")
    alone = invoke("rm", "my-bucket/none")

    assert (result.exit_code, alone.exit_code) == (1, 3)
    assert [line.split(": ")[1] for line in result.stderr.splitlines()[:2]] == [
        "lucas://default/my-bucket/none",
        "lucas://default/missing/key",
    ]
    assert result.stderr.splitlines()[2].endswith(", 2 failed")
    assert keys(shelf) == ["b", "b/one", "b/two/x", "d*", "dd"]


def test_rm_without_r_takes_no_bucket(invoke, shelf):
    result = invoke("rm", "my-bucket")

    assert result.exit_code == 2
    assert "-r for all that is in it" in result.stderr


def test_a_dry_run_of_rm_names_what_would_go(invoke, shelf):
    result = invoke("rm", "--dry-run", "-r", "my-bucket/b")

    assert result.stdout.splitlines() == [
        f"delete lucas://default/my-bucket/{key}" for key in ("b", "b/one", "b/two/x")
    ]


@pytest.mark.thorough
@pytest.mark.slow
def test_many_objects_are_removed_in_batches(invoke, client):
    for number in range(1001):
        client.put_object("my-bucket", f"{number:04}", b"")
    result = invoke("rm", "-r", "my-bucket")

    assert result.exit_code == 0
    assert result.stderr.startswith("1001 removed in ")
    assert keys(client) == []


def test_a_bucket_is_removed_with_what_is_in_it_only_by_force(invoke, shelf):
    shelf.create_multipart_upload("my-bucket", "unfinished")
    refused, removed = invoke("rb", "my-bucket"), invoke("rb", "--force", "my-bucket")

    assert (refused.exit_code, removed.exit_code) == (6, 0)
    assert shelf.list_buckets() == []


def test_of_several_buckets_each_is_made_and_removed_for_itself(invoke, client):
    made = invoke("mb", "--json", "one", "my-bucket", "two")
    removed = invoke("rb", "one", "none", "two")

    assert (made.exit_code, removed.exit_code) == (1, 1)
    assert [json.loads(line).get("code") for line in made.stdout.splitlines()] == [None, "AlreadyExists", None]
    assert [bucket["name"] for bucket in client.list_buckets()] == ["my-bucket"]


def test_du_adds_up_buckets(invoke, shelf):
    shelf.create_bucket("another")

    assert records(invoke("du", "--json")) == [
        {"bucket": "another", "objects": 0, "size": 0, "uri": "lucas://default/another/"},
        {"bucket": "my-bucket", "objects": 7, "size": 27, "uri": "lucas://default/my-bucket/"},
        {"objects": 7, "size": 27, "total": True},
    ]


def test_du_adds_up_what_has_the_same_name_up_to_the_next_slash(invoke, shelf):
    printed = invoke("du", "my-bucket").stdout.replace("lucas://default/my-bucket/", "").replace("%2A", "*")

    assert [line.split() for line in printed.splitlines()] == [
        ["5", "1", "object", "a.txt"],
        ["1", "1", "object", "b"],
        ["12", "2", "objects", "b/"],
        ["5", "1", "object", "c.txt"],
        ["2", "1", "object", "d*"],
        ["2", "1", "object", "dd"],
        ["27", "7", "objects", "total"],
    ]
    assert records(invoke("du", "--json", "my-bucket/b/"))[-1] == {
        "bucket": "my-bucket",
        "prefix": "b/",
        "objects": 2,
        "size": 12,
        "total": True,
    }
    assert invoke("du", "my-bucket/none").exit_code == 3


def test_sizes_are_shown_as_people_read_them(invoke, client):
    client.put_object("my-bucket", "key", bytes(1536))

    assert invoke("ls", "-lH", "my-bucket").stdout.split()[:2] == ["1.5", "KiB"]
    assert invoke("du", "-H", "my-bucket").stdout.split()[:2] == ["1.5", "KiB"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["my-bucket/*.txt"], "a.txt c.txt"),
        (["my-bucket/*"], "a.txt b b/ c.txt d* dd"),
        (["my-bucket/b/*"], "b/one b/two/"),
        (["my-bucket/**/x"], "b/two/x"),
        (["my-bucket/[ab]*"], "a.txt b b/"),
        (["-r", "my-bucket/b/t*"], "b/two/x"),
        (["lucas://default/my-bucket/d%2A"], "d*"),
    ],
)
def test_ls_takes_wildcards(invoke, shelf, arguments, expected):
    there = [f"lucas://default/my-bucket/{name.replace('*', '%2A')}" for name in expected.split()]

    assert there == invoke("ls", *arguments).stdout.split()


def test_cat_writes_several_objects_and_goes_on_behind_one_that_is_missing(invoke, shelf):
    result = invoke("cat", "my-bucket/*.txt", "my-bucket/none", "my-bucket/b", "--length", 2)

    assert result.exit_code == 1
    assert result.stdout == "a.c.b"
    assert "my-bucket/none: the object does not exist; 'lucas-storage ls' shows those that do" in result.stderr


def test_cat_for_programs_is_pieces_in_base64(invoke, client):
    client.put_object("my-bucket", "key", bytes((1 << 20) + 3))
    pieces = records(invoke("cat", "--json", "--offset", 1, "my-bucket/key"))

    assert pieces[0]["offset"] == 1
    assert sum(len(piece["data"]) for piece in pieces) // 4 * 3 >= (1 << 20) + 2


def test_keys_of_a_batch_that_are_refused_are_told_one_by_one(invoke, client, tmp_path, monkeypatch):
    file = tmp_path / "keys.json"
    key, secret = add_key(file, [Statement.parse("read,list,delete:my-bucket/mine/")])
    admin, admin_secret = add_key(file, [Statement.parse("read,list,write,delete,admin:*")])
    with local_server(keys=file) as server, server.client(access_key=admin.id, secret_key=admin_secret) as owner:
        for name in ("mine/a", "theirs/b"):
            owner.put_object("my-bucket", name, b"")
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
        monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
        result = invoke("rm", "-f", "my-bucket/mine/a", "my-bucket/theirs/b")
        left = keys(owner)

    assert result.exit_code == 1
    assert "lucas://default/my-bucket/theirs/b: the access key " in result.stderr
    assert left == ["theirs/b"]
