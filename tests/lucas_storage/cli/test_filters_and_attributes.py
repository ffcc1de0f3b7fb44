"""What `cp -r`, `mv -r` and `sync` copy of many names, and what they keep of objects on the way through files."""

from __future__ import annotations

import json
import sys

import pytest

from lucas_storage.cli.transfers.name_filter import NameFilter

HERE = "lucas://default/my-bucket"
NAMES = ["a.csv", "a.tmp", "b/a.csv", "b/c/d.csv", "b/c/e.txt", "tmp/f.csv"]


def keys(client):
    return [head["key"] for head in client.iter_objects("my-bucket")]


@pytest.fixture
def tree(tmp_path):
    for name in NAMES:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        ("", NAMES),
        ("-*.tmp", ["a.csv", "b/a.csv", "b/c/d.csv", "b/c/e.txt", "tmp/f.csv"]),
        ("+*.csv", ["a.csv", "b/a.csv", "b/c/d.csv", "tmp/f.csv"]),
        ("-* +*.csv", ["a.csv", "b/a.csv", "b/c/d.csv", "tmp/f.csv"]),
        ("+*.csv -*", []),
        ("+*.csv -tmp", ["a.csv", "b/a.csv", "b/c/d.csv"]),
        ("-b", ["a.csv", "a.tmp", "tmp/f.csv"]),
        ("-b/*.csv", ["a.csv", "a.tmp", "b/c/d.csv", "b/c/e.txt", "tmp/f.csv"]),
        ("-/a.csv", ["a.tmp", "b/a.csv", "b/c/d.csv", "b/c/e.txt", "tmp/f.csv"]),
        ("-b/**/*.csv", ["a.csv", "a.tmp", "b/c/e.txt", "tmp/f.csv"]),
        ("-a.csv/", NAMES),
        ("-c/", ["a.csv", "a.tmp", "b/a.csv", "tmp/f.csv"]),
        ("-b/ +b/c", ["a.csv", "a.tmp", "b/c/d.csv", "b/c/e.txt", "tmp/f.csv"]),
        ("-[ab].csv", ["a.tmp", "b/c/d.csv", "b/c/e.txt", "tmp/f.csv"]),
    ],
)
def test_the_last_rule_that_is_like_a_name_decides(rules, chosen):
    name_filter = NameFilter((rule[0] == "+", rule[1:]) for rule in rules.split())

    assert [name for name in NAMES if name_filter(name)] == chosen


@pytest.mark.parametrize(
    "options",
    [
        ["--exclude", "*", "--include", "*.csv", "--exclude=tmp"],
        ["--include", "*.csv", "--exclude", "tmp/"],
    ],
)
@pytest.mark.parametrize("command", ["cp -r", "sync"])
def test_the_order_of_the_command_line_counts(invoke, client, tree, command, options):
    there = f"{HERE}/data"
    up = invoke(*command.split(), *options, "data", there)
    down = invoke(*command.split(), "--include", "d.*", there, "back")

    assert (up.exit_code, down.exit_code) == (0, 0)
    assert keys(client) == ["data/a.csv", "data/b/a.csv", "data/b/c/d.csv"]
    assert [str(path.relative_to(tree.parent)) for path in (tree.parent / "back").rglob("*.*")] == ["back/b/c/d.csv"]


def test_patterns_choose_among_what_wildcards_find(invoke, client, tree):
    invoke("cp", "data/**", "--exclude", "c", f"{HERE}/")

    assert keys(client) == ["a.csv", "a.tmp", "b/a.csv", "tmp/f.csv"]


def test_what_is_left_out_is_not_removed(invoke, client, tree):
    client.put_object("my-bucket", "data/old.tmp", b"")
    client.put_object("my-bucket", "data/old.csv", b"")
    invoke("sync", "--delete", "--exclude", "*.tmp", "data", f"{HERE}/data")

    assert "data/old.tmp" in keys(client)
    assert "data/old.csv" not in keys(client)
    assert "data/a.tmp" not in keys(client)


def test_an_empty_pattern_is_refused(invoke, tree):
    result = invoke("sync", "--exclude", "", "data", f"{HERE}/data")

    assert result.exit_code == 2
    assert "is empty" in result.stderr


def test_more_is_not_removed_than_allowed(invoke, client, tree):
    for number in range(3):
        client.put_object("my-bucket", f"data/old{number}", b"")
    refused = invoke("sync", "--delete", "--max-delete", 2, "data", f"{HERE}/data")
    there = len(keys(client))
    allowed = invoke("sync", "--delete", "--max-delete", 3, "data", f"{HERE}/data")

    assert (refused.exit_code, there) == (2, 3 + len(NAMES))
    assert "3 names in" in refused.stderr
    assert (allowed.exit_code, len(keys(client))) == (0, len(NAMES))


@pytest.fixture
def marked(client):
    for key in ("data/", "data/empty/", "data/sub/", "data/sub/file"):
        client.put_object("my-bucket", key, key.encode() if key.endswith("file") else b"")
    return client


@pytest.mark.parametrize("command", ["cp -r", "sync"])
def test_folder_markers_are_left_out_with_a_note(invoke, marked, tmp_path, command):
    result = invoke(*command.split(), f"{HERE}/data", "back")
    programs = invoke(*command.split(), "--json", f"{HERE}/data", "again")
    results = [json.loads(line)["result"] for line in programs.stdout.splitlines()]

    assert result.exit_code == 0, result.stderr
    assert "3 folder markers were left out, empty objects such as lucas://default/my-bucket/data/" in result.stderr
    assert (tmp_path / "back" / "sub" / "file").read_text() == "data/sub/file"
    assert sorted(results) == ["done", "skipped", "skipped", "skipped"]


def test_folder_markers_stay_when_a_directory_is_copied_over_them(invoke, marked, tmp_path):
    invoke("sync", f"{HERE}/data", "back")
    result = invoke("sync", "--delete", "back", f"{HERE}/data")

    assert result.exit_code == 0, result.stderr
    assert keys(marked) == ["data/", "data/empty/", "data/sub/", "data/sub/file"]


@pytest.fixture
def described(client):
    client.put_object("my-bucket", "data/plain.csv", b"1")
    client.put_object("my-bucket", "data/typed", b"2", "image/png", {"of": "me", "ü": "é"})
    client.put_object("my-bucket", "data/short", b"3", ttl=3600)
    return client


def test_attributes_that_files_do_not_keep_are_told(invoke, described):
    result = invoke("sync", f"{HERE}/data", "back")
    kept = invoke("sync", "--metadata", "kept", f"{HERE}/data", "again")

    assert "2 objects have a content type, metadata or a lifetime that no file keeps, such as" in result.stderr
    assert "--metadata FILE" in result.stderr
    assert "no file keeps" not in kept.stderr


@pytest.mark.parametrize("file", ["kept.jsonl", "back/.kept.jsonl"])
def test_attributes_come_back_from_the_file(invoke, described, tmp_path, file):
    down = invoke("sync", "--metadata", file, f"{HERE}/data", "back")
    again = invoke("sync", "--json", "--delete", "--metadata", file, f"{HERE}/data", "back")
    up = invoke("sync", "--metadata", file, "back", f"{HERE}/new")
    heads = {key: described.head_object("my-bucket", f"new/{key}") for key in ("plain.csv", "typed", "short")}

    assert (down.exit_code, up.exit_code, again.stdout) == (0, 0, "")
    assert (tmp_path / file).exists()
    assert len(keys(described)) == 6
    typed = heads["typed"]
    assert typed["content_type"] == "image/png"
    assert {name: typed["metadata"][name] for name in ("of", "ü")} == {"of": "me", "ü": "é"}
    assert heads["plain.csv"]["content_type"] == "text/csv"
    assert (heads["short"]["expires_at"] is None, heads["plain.csv"]["expires_at"]) == (False, None)


def test_attributes_that_changed_in_the_file_are_written(invoke, described, tmp_path):
    invoke("sync", "--metadata", "kept", f"{HERE}/data", "back")
    invoke("sync", "--metadata", "kept", "back", f"{HERE}/new")
    kept = tmp_path / "kept"
    kept.write_text(kept.read_text().replace("image/png", "image/gif"))
    changed = invoke("sync", "--json", "--metadata", "kept", "back", f"{HERE}/new")
    unchanged = invoke("sync", "--json", "--metadata", "kept", "back", f"{HERE}/new")

    assert [json.loads(line)["key"] for line in changed.stdout.splitlines()] == ["new/typed"]
    assert unchanged.stdout == ""
    assert described.head_object("my-bucket", "new/typed")["content_type"] == "image/gif"


def test_a_dry_run_writes_no_attributes(invoke, described, tmp_path):
    assert invoke("sync", "--dry-run", "--metadata", "kept", f"{HERE}/data", "back").exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [(None, 3, "kept"), ("no json\n", 2, "line 1 of kept"), ('{"x": 1}\n', 2, "line 1 of kept")],
)
def test_a_file_of_attributes_that_cannot_be_read_is_an_error(invoke, client, tree, content, code, said):
    if content is not None:
        (tree.parent / "kept").write_text(content)
    result = invoke("sync", "--metadata", "kept", "data", f"{HERE}/data")

    assert result.exit_code == code
    assert said in result.stderr
    assert keys(client) == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"name": "a.csv", "content_type": 5}',
        b'{"name": "a.csv", "content_type": []}',
        b'{"name": 5}',
        b'{"name": "a.csv", "metadata": {"x": null}}',
        b'{"name": "a.csv", "metadata": null}',
        b'{"name": "a.csv", "expires_at": "2030-01-01"}',
        b'{"name": "a.csv", "expires_at": 5}',
        b"[" * 100_000,
        b'{"name": "\xff"}',
    ],
)
def test_a_line_of_attributes_of_another_form_is_an_error_before_anything_is_copied(invoke, client, tree, line):
    (tree.parent / "kept").write_bytes(b'{"name": "a.csv"}\n' + line + b"\n")
    result = invoke("sync", "--metadata", "kept", "data", f"{HERE}/data")

    assert result.exit_code == 2
    assert "line 2 of kept is not one that 'sync --metadata' writes" in result.stderr
    assert keys(client) == []


def test_an_object_named_like_the_file_of_attributes_is_told_and_stays(invoke, described, tmp_path):
    described.put_object("my-bucket", "data/kept", b"of the user")
    down = invoke("sync", "--metadata", "back/kept", f"{HERE}/data", "back")
    up = invoke("sync", "--delete", "--metadata", "back/kept", "back", f"{HERE}/data")

    assert (down.exit_code, up.exit_code) == (1, 0)
    assert "back/kept is the file of --metadata; name another file for that" in down.stderr
    assert [json.loads(line)["name"] for line in (tmp_path / "back/kept").read_text().splitlines()] == [
        "short",
        "typed",
    ]
    assert described.get_object("my-bucket", "data/kept") == b"of the user"


def test_attributes_of_what_is_left_out_stay_in_the_file(invoke, described, tmp_path):
    invoke("sync", "--metadata", "kept", f"{HERE}/data", "back")
    described.put_object("my-bucket", "data/short", b"3")
    invoke("sync", "--metadata", "kept", "--exclude", "typed", f"{HERE}/data", "back")

    (line,) = (tmp_path / "kept").read_text().splitlines()
    assert (json.loads(line)["name"], json.loads(line)["content_type"]) == ("typed", "image/png")


def test_another_file_is_not_replaced_by_attributes(invoke, described, tmp_path):
    (tmp_path / "precious").write_text("of the user\n")
    result = invoke("sync", "--metadata", "precious", f"{HERE}/data", "back")

    assert result.exit_code == 2
    assert (tmp_path / "precious").read_text() == "of the user\n"


def test_a_full_disk_leaves_no_unfinished_file_of_attributes(lucas_storage, client, tmp_path):
    for number in range(8):
        client.put_object("my-bucket", f"data/{number}", b"1", metadata={"long": "x" * 1000})
    # Without bytecode, of which Python would keep the part that is written.
    limited = ("bash", "-c", 'ulimit -f 4 && exec "$@"', "bash", sys.executable, "-B", "-m", "lucas_storage")
    result = lucas_storage.run(
        "sync", "--metadata", "kept", f"{HERE}/data", "back", program=limited, env={"STORAGE_ENDPOINT": client.endpoint}
    )

    assert (result.returncode, "File too large" in result.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir() if "kept" in path.name] == []
