"""`backup` and `restore` as people and programs use them."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from actorc.storage.testing import local_server
from lucas_storage.cli.program import program


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(program, [str(each) for each in arguments], prog_name="lucas-storage")

    return run


@pytest.fixture
def client(tmp_path):
    """A client of the server of the directory ``data``, which has two objects."""
    with local_server(str(tmp_path / "data")) as server, server.client() as open_client:
        open_client.put_object("bucket", "small", b"data")
        open_client.put_object("bucket", "large", os.urandom(100_000))
        yield open_client


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_directory_is_backed_up_while_it_is_served_and_restored(alone, client, tmp_path):
    saved = client.get_object("bucket", "large")

    done = alone("backup", "data", "backups")
    client.delete_object("bucket", "large")
    again = alone("restore", "backups", "new")

    assert (done.exit_code, again.exit_code) == (0, 0)
    assert done.stdout.startswith("000001-")
    assert done.stdout.endswith("  1 buckets, 2 objects, 97.7 KiB; 1 files new, 97.8 KiB\n")
    assert again.stdout.endswith("  1 buckets, 2 objects, 97.7 KiB; restored into new\n")
    assert alone("fsck", "new").stdout == "nothing is damaged\n"
    with local_server(str(tmp_path / "new")) as server, server.client() as restored:
        assert restored.get_object("bucket", "large") == saved
        assert restored.get_object("bucket", "small") == b"data"


def test_programs_are_told_what_a_backup_has_and_did(alone, client):
    alone("backup", "data", "backups")
    client.delete_object("bucket", "large")

    (record,) = lines(alone("backup", "data", "backups", "--keep", 1, "--json"))

    assert record["snapshot"].startswith("000002-")
    assert {name: value for name, value in record.items() if not isinstance(value, str)} == {
        "buckets": 1,
        "objects": 1,
        "object_bytes": 4,
        "uploads": 0,
        "blobs": 0,
        "blob_bytes": 0,
        "copied_files": 0,
        "copied_bytes": 0,
        "removed_snapshots": 1,
        "removed_files": 1,
    }


def test_snapshots_are_listed_and_checked(alone, client):
    alone("backup", "data", "backups")
    alone("backup", "data", "backups")

    first, second = lines(alone("restore", "backups", "--list", "--json"))
    checked = alone("restore", "backups", "--check", "--snapshot", first["snapshot"])

    assert first["objects"] == second["objects"] == 2
    assert (checked.exit_code, checked.stdout.split()[0]) == (0, first["snapshot"])
    assert checked.stdout.endswith("; nothing is damaged\n")


def test_a_damaged_snapshot_hides_no_other_and_a_list_says_that_it_verifies_nothing(alone, client, tmp_path):
    for _ in range(4):
        alone("backup", "data", "backups")
    _, cut, torn, _ = folders = sorted((tmp_path / "backups/snapshots").iterdir())
    (cut / "meta.db").write_bytes(b"")
    (torn / "manifest.json").write_text("{")
    listed = alone("restore", "backups", "--list")
    records = lines(alone("restore", "backups", "--list", "--json"))

    assert listed.exit_code == 1
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [
        [folders[0].name, "1"],
        [cut.name, "cannot"],
        [torn.name, "cannot"],
        [folders[3].name, "1"],
    ]
    assert "'lucas-storage restore BACKUP --check' reads and verifies one" in listed.stderr
    assert [sorted(each)[:2] for each in records[1:3]] == [["problem", "snapshot"]] * 2


def test_damage_is_printed_and_makes_the_exit_code(alone, client, tmp_path):
    alone("backup", "data", "backups")
    for folder in ("backups", "data"):
        (blob,) = [path for path in (tmp_path / folder / "blobs").rglob("*") if path.is_file()]
        blob.unlink()

    restored, again = alone("restore", "backups", "new"), alone("backup", "data", "backups")

    assert (restored.exit_code, again.exit_code) == (1, 1)
    assert restored.stdout == again.stdout == f"damaged       bucket/large  blob {blob.name} is missing\n"
    assert restored.stderr == "lucas-storage: nothing was restored; another snapshot may be whole\n"
    assert again.stderr == "lucas-storage: no snapshot was made; earlier ones in backups are as they were\n"
    assert lines(alone("restore", "backups", "--check", "--json")) == [
        {"kind": "damaged", "subject": "bucket/large", "detail": f"blob {blob.name} is missing"}
    ]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("backup", "localhost:9000", "backups"), 3, "localhost:9000 does not exist; name the data directory"),
        (("backup", ".", "backups"), 2, ". is no data directory; name the one that 'serve --data' was given"),
        (("backup", "data", "data/backups"), 2, "one within the other; choose another target"),
        (("backup", "data", "backups", "--keep", "0"), 2, "0 is not in the range"),
        (("restore", "data", "new"), 2, "is no directory of backups, it has no file BACKUP"),
        (("restore", "missing", "new"), 3, "is no directory of backups, it has no file BACKUP"),
        (("restore", "data"), 2, "give either DIR, the new data directory, or one of --list and --check"),
        (("restore", "data", "new", "--check"), 2, "give either DIR"),
    ],
)
def test_a_wrong_command_says_what_to_do(alone, client, arguments, code, message):
    result = alone(*arguments)

    assert result.exit_code == code
    assert message in result.stderr.replace("\n", " ")
    assert not result.stdout
