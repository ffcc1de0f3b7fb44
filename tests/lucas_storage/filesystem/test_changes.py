"""Objects are copied, moved, removed and touched; buckets are made."""

from __future__ import annotations

import urllib.request

import pytest

from actorc.storage.errors import PreconditionFailedError

fsspec = pytest.importorskip("fsspec")


def keys(fs):
    return [head["key"] for head in fs.client.iter_objects("bucket")]


def test_an_object_is_copied_by_the_server_in_one_call(fs, calls):
    fs.pipe_file("bucket/a", b"content", content_type="text/x-own")
    calls.clear()

    fs.cp_file("bucket/a", "bucket/b")

    assert calls.are("CopyObject")
    assert (fs.cat_file("bucket/b"), fs.info("bucket/b")["content_type"]) == (b"content", "text/x-own")
    with pytest.raises(FileNotFoundError):
        fs.cp_file("bucket/none", "bucket/c")
    with pytest.raises(IsADirectoryError):
        fs.cp_file("bucket/a", "bucket")


def test_directories_are_copied_with_those_that_are_only_marked(fs):
    fs.pipe({"bucket/d/a": b"1", "bucket/d/e/b": b"2"})
    fs.client.put_object("bucket", "d/marked/", b"")

    fs.cp("bucket/d", "bucket/copy", recursive=True)

    assert [key for key in keys(fs) if key.startswith("copy")] == ["copy/a", "copy/e/b", "copy/marked/"]


def test_what_is_moved_keeps_its_description_and_its_end(fs):
    fs.pipe_file("bucket/a", b"1", content_type="text/x-own", metadata={"by": "me"}, ttl=3600)
    before = fs.info("bucket/a")

    fs.mv("bucket/a", "bucket/moved")

    after = fs.info("bucket/moved")
    assert keys(fs) == ["moved"]
    assert [after[name] for name in ("content_type", "metadata")] == ["text/x-own", {"by": "me"}]
    assert abs((after["expires_at"] - before["expires_at"]).total_seconds()) < 60


def test_directories_are_moved_whole_and_only_if_asked(fs):
    fs.pipe({"bucket/d/a": b"1", "bucket/d/e/b": b"2"})
    fs.client.put_object("bucket", "d/marked/", b"not lost")

    with pytest.raises(IsADirectoryError):
        fs.mv("bucket/d", "bucket/new")
    assert keys(fs) == ["d/a", "d/e/b", "d/marked/"]
    fs.mv("bucket/d", "bucket/new", recursive=True)
    fs.mv("bucket/new/a", "lucas://bucket/new/a")
    assert keys(fs) == ["new/a", "new/e/b", "new/marked/"]
    assert fs.client.get_object("bucket", "new/marked/") == b"not lost"
    with pytest.raises(FileNotFoundError):
        fs.mv("bucket/none", "bucket/other")


def test_what_is_written_while_it_is_moved_is_not_lost(fs):
    class WrittenMeanwhile(type(fs)):
        def cp_file(self, path1, path2, **options):
            super().cp_file(path1, path2, **options)
            fs.pipe_file(path1, b"newer")

    fs.pipe_file("bucket/a", b"older")

    with pytest.raises(PreconditionFailedError):
        WrittenMeanwhile(endpoint=fs.client.endpoint).mv("bucket/a", "bucket/b")

    assert fs.cat(["bucket/a", "bucket/b"]) == {"bucket/a": b"newer", "bucket/b": b"older"}


def test_objects_are_removed_in_batches(fs, calls):
    fs.pipe({f"bucket/d/{number:04}": b"" for number in range(1001)})
    calls.clear()

    fs.rm("bucket/d", recursive=True)

    assert calls.are("ListObjects", "ListObjects", "DeleteObjects", "DeleteObjects")
    assert keys(fs) == []


def test_removing_leaves_what_only_begins_alike(fs):
    fs.pipe({f"bucket/{name}": b"" for name in ("d", "d/a", "d2", "d/e/b", "da")})
    fs.client.put_object("bucket", "d/", b"")

    fs.rm("bucket/d", recursive=True)

    assert keys(fs) == ["d2", "da"]


def test_what_is_not_there_is_not_removed_and_neither_is_a_directory(fs):
    fs.pipe({"bucket/d/a": b"", "bucket/b": b""})

    for wrong, error in (
        ("bucket/none", FileNotFoundError),
        ("bucket/d", IsADirectoryError),
        ("bucket", IsADirectoryError),
    ):
        for path in (wrong, ["bucket/b", wrong]):
            with pytest.raises(error):
                fs.rm(path)
        with pytest.raises(error):
            fs.rm_file(wrong)
    with pytest.raises(FileNotFoundError):
        fs.rm("bucket/none", recursive=True)
    for everything in ("", "/", "lucas://"):
        with pytest.raises(ValueError, match="all buckets"):
            fs.rm(everything, recursive=True)
    assert keys(fs) == ["b", "d/a"]
    fs.rm(["bucket/b", "bucket/d/a"])
    assert keys(fs) == []


def test_depth_limits_what_is_removed(fs):
    fs.pipe({"bucket/d/a": b"", "bucket/d/e/b": b""})

    fs.rm("bucket/d", recursive=True, maxdepth=1)

    assert keys(fs) == ["d/e/b"]


def test_touching_makes_an_object_and_keeps_one(fs):
    fs.touch("bucket/new")
    fs.pipe_file("bucket/old", b"content", metadata={"by": "me"}, ttl=3600)
    before = fs.info("bucket/old")

    fs.touch("bucket/old", truncate=False)
    fs.touch("bucket/other", truncate=False)

    after = fs.info("bucket/old")
    assert fs.cat(["bucket/new", "bucket/old", "bucket/other"]) == {
        "bucket/new": b"",
        "bucket/old": b"content",
        "bucket/other": b"",
    }
    assert (after["metadata"], after["generation"] > before["generation"]) == ({"by": "me"}, True)
    assert after["expires_at"] is not None
    fs.touch("bucket/old")
    assert fs.size("bucket/old") == 0


def test_buckets_are_made_and_removed_and_directories_need_not_be(fs, calls):
    fs.mkdir("new-bucket")
    with pytest.raises(FileExistsError):
        fs.mkdir("new-bucket")
    with pytest.raises(FileExistsError):
        fs.makedirs("new-bucket")
    fs.makedirs("new-bucket", exist_ok=True)
    fs.makedirs("new-bucket/dir/deep", exist_ok=True)
    fs.mkdir("new-bucket/dir")
    assert fs.ls("new-bucket") == []
    with pytest.raises(FileNotFoundError):
        fs.mkdir("other-bucket/dir", create_parents=False)
    fs.mkdir("other-bucket/dir")
    fs.pipe_file("other-bucket/dir/a", b"")
    with pytest.raises(FileExistsError):
        fs.makedirs("other-bucket/dir")

    with pytest.raises(OSError, match="not empty"):
        fs.rmdir("other-bucket")
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir("other-bucket/dir")
    with pytest.raises(FileNotFoundError):
        fs.rmdir("other-bucket/none")
    fs.client.put_object("other-bucket", "marked/", b"")
    fs.rmdir("other-bucket/marked")
    fs.rm("other-bucket", recursive=True)
    fs.rmdir("new-bucket")
    assert not fs.exists("other-bucket")
    assert not fs.exists("new-bucket")


def test_a_signed_url_leads_to_the_object(fs):
    fs.pipe_file("bucket/a b", b"content")

    with urllib.request.urlopen(fs.sign("bucket/a b", expiration=60)) as answer:
        assert answer.read() == b"content"
