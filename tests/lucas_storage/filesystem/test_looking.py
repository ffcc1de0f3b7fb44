"""What `ls`, `info`, `find`, `glob` and their like say, and how many calls they take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actorc.storage.errors import NetworkError

NAMES = [
    "a?b",
    "50%",
    "100%25",
    "x#y",
    "with space",
    "übung/雪",
    "semi;colon&and=is",
    "a+b",
    "new\nline",
    "[1]",
    "..",
    "a//b",
]


@pytest.fixture
def tree(fs):
    """Objects in directories; ``bucket/empty/`` is one that is only marked, as other programs do."""
    fs.pipe({f"bucket/{name}": name.encode() for name in ("top.csv", "data/a.csv", "data/b.csv", "data/deep/c.csv")})
    fs.client.put_object("bucket", "empty/", b"")
    return fs


def test_a_directory_is_listed_in_one_call(tree, calls):
    assert tree.ls("lucas://bucket/data", detail=False) == [
        "bucket/data/a.csv",
        "bucket/data/b.csv",
        "bucket/data/deep",
    ]
    assert calls.are("ListObjects")
    assert tree.ls("bucket/", detail=False) == ["bucket/data", "bucket/empty", "bucket/top.csv"]
    assert tree.ls("bucket/empty") == []
    assert "bucket" in tree.ls("", detail=False)


def test_an_object_is_listed_as_itself_and_a_missing_one_is_not(tree):
    assert tree.ls("bucket/top.csv", detail=False) == ["bucket/top.csv"]
    for missing in ("bucket/none", "no-such-bucket", "no-such-bucket/none"):
        with pytest.raises(FileNotFoundError):
            tree.ls(missing)


def test_an_object_is_described_in_one_call(tree, calls):
    stored = tree.client.put_object("bucket", "one", b"12345", "text/x-own", {"by": "me"}, ttl=3600)
    calls.clear()

    info = tree.info("bucket/one")

    assert calls.are("HeadObject")
    assert (info["name"], info["type"], info["size"]) == ("bucket/one", "file", 5)
    assert (info["etag"], info["generation"]) == (stored["etag"], stored["generation"])
    assert (info["content_type"], info["metadata"]) == ("text/x-own", {"by": "me"})
    assert abs(info["mtime"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert info["created"] == info["mtime"] == tree.modified("bucket/one") == tree.created("bucket/one")


def test_a_prefix_of_keys_a_marked_one_and_a_bucket_are_directories(tree):
    for path in ("bucket/data", "bucket/data/deep", "bucket/empty", "bucket", ""):
        assert tree.info(path) == {"name": path, "size": 0, "type": "directory"}
        assert tree.isdir(path)
        assert not tree.isfile(path)


def test_existence_takes_one_call(tree, calls):
    assert tree.exists("bucket/top.csv")
    assert calls.are("HeadObject")
    assert tree.isfile("bucket/top.csv")
    assert calls.are("HeadObject")
    assert tree.isdir("bucket/data")
    assert calls.are("ListObjects")
    assert tree.exists("bucket")
    assert calls.are("HeadBucket")
    assert not tree.exists("bucket/none")
    assert calls.are("HeadObject", "ListObjects")


@pytest.mark.parametrize(
    "name", ["bucket/none", "bucket/dat", "no-such-bucket", "No_Bucket/key", "bucket/" + "k" * 1025]
)
def test_what_is_not_there_and_what_no_object_can_be_called_does_not_exist(fs, name):
    assert not fs.exists(name)
    assert not fs.isfile(name)
    assert not fs.isdir(name)


def test_existence_that_cannot_be_found_out_is_an_error(free_port, fsspec):
    fs = fsspec.filesystem("lucas", endpoint=f"127.0.0.1:{free_port}", timeout=0.2)

    for question in (fs.exists, fs.isfile, fs.isdir):
        with pytest.raises(NetworkError):
            question("bucket/key")


def test_all_objects_are_found_in_one_listing(tree, calls):
    assert tree.find("bucket") == ["bucket/data/a.csv", "bucket/data/b.csv", "bucket/data/deep/c.csv", "bucket/top.csv"]
    assert calls.are("ListObjects")
    assert tree.find("bucket", withdirs=True, detail=True)["bucket/data/deep"]["type"] == "directory"
    assert tree.find("bucket/data", maxdepth=1, withdirs=True) == [
        "bucket/data",
        "bucket/data/a.csv",
        "bucket/data/b.csv",
        "bucket/data/deep",
    ]
    assert tree.find("bucket", maxdepth=2) == ["bucket/data/a.csv", "bucket/data/b.csv", "bucket/top.csv"]
    assert tree.find("bucket/top.csv") == ["bucket/top.csv"]
    assert tree.find("bucket/none") == tree.find("no-such-bucket") == []
    assert tree.find("bucket/empty", withdirs=True) == ["bucket/empty"]
    assert "bucket/top.csv" in tree.find("", maxdepth=2)


def test_sizes_are_added_up_in_one_listing(tree, calls):
    assert tree.du("bucket/data") == len("data/a.csv") * 2 + len("data/deep/c.csv")
    assert calls.are("ListObjects")
    assert tree.du("bucket", total=False)["bucket/top.csv"] == len("top.csv")


def test_a_pattern_lists_no_more_than_what_begins_like_it(tree, calls):
    tree.pipe({f"bucket/many/{number:04}": b"" for number in range(300)})
    calls.clear()

    assert tree.glob("bucket/many/029*") == [f"bucket/many/{number:04}" for number in range(290, 300)]
    assert calls.are("ListObjects")
    assert tree.glob("bucket/*/?.csv") == ["bucket/data/a.csv", "bucket/data/b.csv"]
    assert tree.glob("bucket/**/c.csv") == ["bucket/data/deep/c.csv"]
    assert tree.glob("bucket/da*") == ["bucket/data"]
    assert tree.glob("bucket/none*") == tree.glob("no-such-bucket/*") == []


def test_directories_are_walked_with_a_listing_each(tree, calls):
    walked = list(tree.walk("bucket"))

    assert walked == [
        ("bucket", ["data", "empty"], ["top.csv"]),
        ("bucket/data", ["deep"], ["a.csv", "b.csv"]),
        ("bucket/data/deep", [], ["c.csv"]),
        ("bucket/empty", [], []),
    ]
    assert calls.are(*["ListObjects"] * 4)


def test_what_another_client_wrote_is_seen_at_once(tree, endpoint):
    from actorc.storage import StorageClient

    assert not tree.exists("bucket/data/new")
    with StorageClient(endpoint) as other:
        other.put_object("bucket", "data/new", b"1")
        assert tree.exists("bucket/data/new")
        assert "bucket/data/new" in tree.ls("bucket/data", detail=False)
        other.put_object("bucket", "data/new", b"22")
        assert tree.size("bucket/data/new") == 2
        other.delete_object("bucket", "data/new")
    assert "bucket/data/new" not in tree.find("bucket")


def test_etag_and_checksum_change_with_every_write(fs):
    fs.pipe_file("bucket/key", b"same")
    before = fs.ukey("bucket/key"), fs.checksum("bucket/key")
    assert before == (fs.ukey("bucket/key"), fs.checksum("bucket/key"))

    fs.pipe_file("bucket/key", b"same")

    assert fs.ukey("bucket/key") != before[0]
    assert fs.checksum("bucket/key") != before[1]
    with pytest.raises(IsADirectoryError):
        fs.ukey("bucket")


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_taken_as_they_are_written(fs, name):
    path = f"bucket/odd/{name}"
    fs.pipe_file(f"lucas://{path}", b"content")

    assert fs.find("bucket/odd") == [path]
    assert fs.cat_file(f"lucas://{path}") == fs.open(path).read() == b"content"
    assert fs.info(fs.unstrip_protocol(path))["name"] == path
    assert fs.client.get_object("bucket", f"odd/{name}") == b"content"
    fs.rm_file(path)
    assert not fs.exists(path)


def test_a_directory_without_a_name_is_left_out_of_listings_and_found(fs):
    fs.pipe_file("bucket/a//b", b"1")

    assert fs.ls("bucket/a") == []
    assert list(fs.walk("bucket")) == [("bucket", ["a"], []), ("bucket/a", [], [])]
    assert fs.find("bucket", withdirs=True) == ["bucket", "bucket/a", "bucket/a//b"]
