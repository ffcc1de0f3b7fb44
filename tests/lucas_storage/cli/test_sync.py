from __future__ import annotations

import json
import os

import pytest

from actorc.storage.testing import local_server

THERE = "lucas://default/my-bucket/data"


def done(result):
    """Return what was done, by name."""
    assert result.exit_code == 0, result.stderr
    return sorted(_name(json.loads(line)) for line in result.stdout.splitlines())


def _name(record):
    place = record.get("key") or record.get("file_path") or record["destination"]
    return f"{record['action']} {place.rpartition('data/')[2]}"


def keys(client, bucket="my-bucket", prefix="data/"):
    return [head["key"].removeprefix(prefix) for head in client.iter_objects(bucket, prefix)]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def tree(tmp_path):
    for name in ("a", "a-b", "a.d/c", "z"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


@pytest.fixture
def synced(invoke, client, tree):
    assert done(invoke("sync", "--json", "data", THERE)) == ["upload a", "upload a-b", "upload a.d/c", "upload z"]
    return client


def test_a_second_time_nothing_is_copied(invoke, synced):
    up, down = invoke("sync", "--json", "data", THERE), invoke("sync", "--json", THERE, "data")

    assert (done(up), done(down)) == ([], [])


def test_what_changed_is_uploaded(invoke, synced, tree):
    (tree / "a").write_text("b")
    (tree / "new").write_text("new")
    os.utime(tree / "z", ns=(1, 1))

    assert done(invoke("sync", "--json", "data", THERE)) == ["upload a", "upload new", "upload z"]
    assert synced.get_object("my-bucket", "data/a") == b"b"
    assert synced.head_object("my-bucket", "data/z")["metadata"] == {"mtime_ns": "1"}


def test_a_file_of_another_size_is_uploaded_though_its_time_is_the_same(invoke, synced, tree):
    status = (tree / "a").stat()
    (tree / "a").write_text("longer")
    os.utime(tree / "a", ns=(status.st_atime_ns, status.st_mtime_ns))

    assert done(invoke("sync", "--json", "data", THERE)) == ["upload a"]


def test_with_checksum_the_time_does_not_matter_but_the_content_does(invoke, synced, tree):
    status = (tree / "a").stat()
    (tree / "a").write_text("b")
    os.utime(tree / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(tree / "z", ns=(1, 1))

    assert done(invoke("sync", "--json", "data", THERE)) == ["upload z"]
    assert done(invoke("sync", "--json", "--checksum", "data", THERE)) == ["upload a"]


def test_objects_without_a_time_are_compared_by_content(invoke, client, tree):
    for name in ("a", "z"):
        client.put_object("my-bucket", f"data/{name}", name.encode())
    client.put_object("my-bucket", "data/a", b"b")

    assert done(invoke("sync", "--json", "data", THERE)) == ["upload a", "upload a-b", "upload a.d/c"]


def test_what_changed_is_downloaded_with_its_time(invoke, synced, tree, tmp_path):
    synced.put_object("my-bucket", "data/a", b"b")
    first = done(invoke("sync", "--json", THERE, "data"))
    second = done(invoke("sync", "--json", THERE, "data"))
    fresh = done(invoke("sync", "--json", THERE, "copy/data"))

    assert (first, second, len(fresh)) == (["download a"], [], 4)
    assert (tree / "a").read_text() == "b"
    assert (tmp_path / "copy" / "data" / "z").stat().st_mtime_ns == (tree / "z").stat().st_mtime_ns


def test_what_the_source_lacks_is_removed_on_request_only(invoke, synced, tree):
    (tree / "a.d" / "c").unlink()
    synced.put_object("my-bucket", "database", b"not beneath the name")
    kept, told = done(invoke("sync", "--json", "data", THERE)), invoke("sync", "--delete", "--dry-run", "data", THERE)
    before = keys(synced)
    removed = done(invoke("sync", "--delete", "--json", "data", THERE))

    assert (kept, told.stdout) == ([], f"delete {THERE}/a.d/c\n")
    assert before == ["a", "a-b", "a.d/c", "z"]
    assert removed == ["delete a.d/c"]
    assert keys(synced) == ["a", "a-b", "z"]
    assert synced.object_exists("my-bucket", "database")


def test_files_are_removed_with_the_folders_that_are_empty_then(invoke, synced, tree, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("stays")
    (tree / "link").symlink_to(tmp_path / "elsewhere")
    (tree / "to-file").symlink_to(tmp_path / "elsewhere" / "precious")
    synced.delete_object("my-bucket", "data/a.d/c")
    removed = done(invoke("sync", "--delete", "--json", THERE, "data"))

    assert removed == ["delete a.d/c", "delete to-file"]
    assert sorted(path.name for path in tree.iterdir()) == ["a", "a-b", "link", "z"]
    assert (tmp_path / "elsewhere" / "precious").read_text() == "stays"


def test_nothing_is_removed_if_anything_failed(invoke, synced, tree):
    (tree / "z").unlink()
    (tree / "dangling").symlink_to("nowhere")
    result = invoke("sync", "--delete", "data", THERE)

    assert result.exit_code == 1
    assert "nothing was removed, because something failed" in result.stderr
    assert "z" in keys(synced)


@pytest.mark.parametrize("source", ["missing", "lucas://default/my-bucket/missing", "lucas://default/missing"])
def test_a_source_that_is_not_there_removes_nothing(invoke, synced, tmp_path, source):
    destination = THERE if source == "missing" else "data"
    result = invoke("sync", "--delete", source, destination)

    assert result.exit_code == 3
    assert len(keys(synced)) == len(files(tmp_path / "data")) == 4


def test_buckets_are_synchronised_inside_the_server(invoke, synced):
    synced.create_bucket("another")
    arguments = ("sync", "--json", "--delete", THERE, "lucas://default/another")
    synced.put_object("another", "surplus", b"")
    first, second = done(invoke(*arguments)), done(invoke(*arguments))
    synced.put_object("my-bucket", "data/a", b"a", "text/other")
    third = done(invoke(*arguments))

    assert first == ["copy a", "copy a-b", "copy a.d/c", "copy z", "delete surplus"]
    assert (second, third) == ([], ["copy a"])
    assert keys(synced, "another", "") == ["a", "a-b", "a.d/c", "z"]


def test_data_moves_from_one_server_to_another(invoke, synced, monkeypatch):
    synced.put_object("my-bucket", "data/big", bytes(3 << 20), "text/x-x", {"author": "ignis"}, ttl=1000)
    with local_server() as other, other.client() as there:
        monkeypatch.setenv("LUCAS_STORAGE_ENDPOINTS", f"other={other.endpoint}")
        arguments = ("sync", "--json", "lucas://default/my-bucket", "lucas://other/another")
        first, second = done(invoke(*arguments)), done(invoke(*arguments))
        here = [(head["key"], head["crc32c"], head["metadata"]) for head in synced.iter_objects("my-bucket")]
        moved = [(head["key"], head["crc32c"], head["metadata"]) for head in there.iter_objects("another")]
        expires_at = there.head_object("another", "data/big")["expires_at"]

    assert (len(first), second) == (5, [])
    assert here == moved
    assert expires_at is not None


def test_a_bucket_that_is_not_there_is_named(invoke, client, tree):
    result = invoke("sync", "data", "lucas://default/another")

    assert result.exit_code == 3
    assert "another: the bucket does not exist" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data", "copy"], "at least one of the two is in a bucket"),
        ([THERE, "lucas://default/my-bucket/data/copy"], "lies inside the other"),
        ([THERE, "lucas://default/my-bucket"], "lies inside the other"),
        (["data", "s3://my-bucket"], "a scheme that is not known here"),
    ],
)
def test_what_does_not_go_together_is_a_mistake_of_the_command_line(invoke, tree, arguments, said):
    result = invoke("sync", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]


def test_unfinished_downloads_and_a_servers_data_are_left_alone(invoke, synced, tree):
    part = tree / f".download-{'0' * 32}.part"
    part.write_text("unfinished")
    (tree / ".lucas-storage").mkdir()
    (tree / ".lucas-storage" / "FORMAT").write_text("1")

    assert done(invoke("sync", "--json", "data", THERE)) == []
    assert done(invoke("sync", "--json", "--delete", THERE, "data")) == []
    assert part.exists()


def test_the_summary_counts(invoke, synced, tree):
    (tree / "a").write_text("longer")
    (tree / "z").unlink()
    result = invoke("sync", "--delete", "data", THERE)

    assert result.stdout == ""
    removing, summary = result.stderr.splitlines()
    assert (
        removing == "lucas-storage: removing 1 name, 1 B, in lucas://default/my-bucket/data/, which data does not have"
    )
    assert summary.startswith("1 copied, 6 B in ")
    assert result.stderr.endswith(" s, 2 unchanged, 1 removed\n")
