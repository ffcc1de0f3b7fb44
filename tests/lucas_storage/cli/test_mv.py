from __future__ import annotations

import json

import pytest

from actorc.storage.testing import local_server

HERE = "lucas://default/my-bucket"


def moved(result):
    assert result.exit_code == 0, result.stderr
    return result


def keys(client, bucket="my-bucket"):
    return [head["key"] for head in client.iter_objects(bucket)]


@pytest.fixture
def shelf(client):
    for key in ("a.txt", "b/one.csv", "b/two.txt"):
        client.put_object("my-bucket", key, key.encode(), metadata={"of": key})
    return client


def test_an_object_is_renamed_with_its_type_and_metadata(invoke, shelf):
    before = shelf.head_object("my-bucket", "a.txt")
    moved(invoke("mv", f"{HERE}/a.txt", f"{HERE}/c"))
    after = shelf.head_object("my-bucket", "c")

    assert keys(shelf) == ["b/one.csv", "b/two.txt", "c"]
    assert all(before[name] == after[name] for name in ("size", "crc32c", "content_type", "metadata"))


def test_a_prefix_is_moved(invoke, shelf):
    moved(invoke("mv", "-r", f"{HERE}/b", f"{HERE}/new/"))

    assert keys(shelf) == ["a.txt", "new/b/one.csv", "new/b/two.txt"]


def test_a_directory_is_moved_there_and_back_and_none_stays_empty(invoke, client, tmp_path):
    (tmp_path / "data" / "sub" / "empty").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "file").write_text("x")
    moved(invoke("mv", "-r", "data", f"{HERE}/"))
    there, gone = keys(client), not (tmp_path / "data").exists()
    moved(invoke("mv", "-r", f"{HERE}/data", "."))

    assert (there, gone) == (["data/sub/file"], True)
    assert keys(client) == []
    assert (tmp_path / "data" / "sub" / "file").read_text() == "x"


def test_what_is_left_out_stays(invoke, client, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "a.tmp"):
        (tmp_path / "data" / name).write_text(name)
    moved(invoke("mv", "-r", "--exclude", "*.tmp", "data", f"{HERE}/"))

    assert keys(client) == ["data/a.csv"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["a.tmp"]


def test_between_two_servers_an_object_is_moved(invoke, shelf, monkeypatch):
    with local_server() as other, other.client() as there:
        monkeypatch.setenv("LUCAS_STORAGE_ENDPOINTS", f"new={there.endpoint}")
        moved(invoke("mv", f"{HERE}/a.txt", "lucas://new/my-bucket/"))

        assert there.get_object("my-bucket", "a.txt") == b"a.txt"
        assert there.head_object("my-bucket", "a.txt")["metadata"] == {"of": "a.txt"}
    assert keys(shelf) == ["b/one.csv", "b/two.txt"]


@pytest.mark.parametrize("destination", [f"{HERE}/c", "c"])
def test_an_object_that_changes_meanwhile_stays(invoke, shelf, monkeypatch, destination, tmp_path):
    """Another program writes between the listing and the end of the move."""
    real = type(shelf).delete_object

    def late(self, bucket, key, **options):
        shelf.put_object(bucket, key, b"newer")
        return real(self, bucket, key, **options)

    monkeypatch.setattr("actorc.storage.client.StorageClient.delete_object", late)
    result = invoke("mv", f"{HERE}/a.txt", destination)

    assert result.exit_code == 6
    assert "it changed while it was moved, and stays; move it again" in result.stderr
    assert shelf.get_object("my-bucket", "a.txt") == b"newer"


def test_a_file_that_changes_meanwhile_stays(invoke, client, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("old")
    real = type(client).upload_file

    def slow(self, *arguments, **options):
        done = real(self, *arguments, **options)
        (tmp_path / "file").write_text("newer")
        return done

    monkeypatch.setattr("actorc.storage.client.StorageClient.upload_file", slow)
    result = invoke("mv", "file", f"{HERE}/")

    assert result.exit_code == 6
    assert "file changed while it was moved, and stays" in result.stderr
    assert (tmp_path / "file").read_text() == "newer"


def test_a_source_stays_if_its_copy_fails(invoke, client, tmp_path):
    (tmp_path / "file").write_text("x")
    result = invoke("mv", "file", "lucas://default/no-such-bucket/")

    assert result.exit_code == 3
    assert (tmp_path / "file").exists()


def test_a_destination_that_is_taken_keeps_both(invoke, shelf):
    result = invoke("mv", "-n", f"{HERE}/a.txt", f"{HERE}/b/one.csv")

    assert (result.exit_code, len(keys(shelf))) == (6, 3)
    assert shelf.get_object("my-bucket", "b/one.csv") == b"b/one.csv"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([f"{HERE}/a.txt", f"{HERE}/a.txt"], "are the same object"),
        (["-r", f"{HERE}/b", f"{HERE}/b/c/"], "lies inside"),
        (["a", "b"], "at least one of the two is an object"),
        ([f"{HERE}/b", f"{HERE}/c"], "add -r to mean them all"),
        ([f"{HERE}/x?d=sha256:{'0' * 64}&n=1&f=bytes%401", "c"], "a whole reference"),
    ],
)
def test_what_cannot_be_moved_is_told_and_stays(invoke, shelf, tmp_path, arguments, said):
    (tmp_path / "a").write_text("a")
    result = invoke("mv", *arguments)

    assert result.exit_code in {2, 3}
    assert said in result.stderr
    assert len(keys(shelf)) == 3
    assert (tmp_path / "a").exists()


def test_what_is_replaced_is_told_before_it_is(invoke, shelf, tmp_path):
    (tmp_path / "a.txt").write_text("12")
    one = invoke("cp", "a.txt", f"{HERE}/a.txt")
    (tmp_path / "b").mkdir()
    several = invoke("cp", "-r", "b", f"{HERE}/")
    nothing = invoke("cp", "-r", "b", f"{HERE}/fresh/")

    assert one.stderr.startswith(f"lucas-storage: {HERE}/a.txt is replaced (5 B, changed 20")
    assert several.stderr.startswith(f"lucas-storage: {HERE}/b is there already, what has the same names is replaced")
    assert nothing.stderr.startswith("0 copied")


def test_files_that_are_replaced_are_told_one_by_one_up_to_ten(invoke, client, tmp_path):
    for number in range(12):
        client.put_object("my-bucket", f"data/{number}", b"")
    invoke("cp", "-r", f"{HERE}/data", ".")
    told = invoke("cp", "-r", f"{HERE}/data", ".").stderr.splitlines()

    assert [line for line in told if " is replaced (0 B, changed " in line] == told[:10]
    assert told[10] == "lucas-storage: more files are replaced"
    assert told[11].startswith("12 copied")


def test_a_dry_run_names_what_would_be_lost_and_changes_nothing(invoke, shelf):
    result = invoke("mv", "--dry-run", f"{HERE}/a.txt", f"{HERE}/b/one.csv")
    record = json.loads(invoke("mv", "--dry-run", "--json", f"{HERE}/a.txt", f"{HERE}/b/one.csv").stdout)

    assert result.stdout.startswith(f"move {HERE}/a.txt -> {HERE}/b/one.csv  (replaces 9 B, changed 20")
    assert (record["result"], record["replaces"]["size"]) == ("planned", 9)
    assert len(keys(shelf)) == 3


@pytest.mark.parametrize(("answer", "left"), [("y\n", 2), ("n\n", 3), ("", 3)])
def test_interactive_asks_before_it_replaces(invoke, shelf, answer, left):
    result = moved(invoke("mv", "-i", f"{HERE}/a.txt", f"{HERE}/b/one.csv", input=answer))

    assert f"replace {HERE}/b/one.csv (9 B, changed " in result.stderr
    assert len(keys(shelf)) == left


def test_interactive_does_not_ask_where_nothing_is_lost(invoke, shelf):
    assert moved(invoke("cp", "-i", f"{HERE}/a.txt", f"{HERE}/new")).stderr == ""
