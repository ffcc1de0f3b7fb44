"""Bytes go to and from memory and local files: exactly, conditionally, and in few calls."""

from __future__ import annotations

from itertools import pairwise

import pytest

from actorc.storage import InvalidParameterError

fsspec = pytest.importorskip("fsspec")

DATA = bytes(range(256)) * 8
SLICES = [(None, None), (0, None), (5, 9), (5, None), (None, 9), (-5, None), (None, -5), (-9, -5), (9, 5), (5000, 5001)]


@pytest.fixture
def objects(fs):
    fs.pipe({"bucket/a": DATA, "bucket/b": b"bb", "bucket/c/d": b"dd"})
    return fs


@pytest.mark.parametrize(("start", "end"), SLICES)
def test_a_part_of_an_object_is_that_of_its_bytes(objects, start, end):
    assert objects.cat_file("bucket/a", start, end) == DATA[start:end]


def test_a_part_takes_one_call_and_another_one_if_its_end_is_counted_from_that_of_the_object(objects, calls):
    objects.cat_file("bucket/a", 5, 9)
    assert calls.are("GetObject")
    objects.cat_file("bucket/a", -5)
    assert calls.are("GetRanges")
    objects.cat_file("bucket/a", 5, -5)
    assert calls.are("HeadObject", "GetObject")


def test_several_objects_are_read_in_one_call(objects, calls):
    assert objects.cat(["bucket/a", "bucket/b"]) == {"bucket/a": DATA, "bucket/b": b"bb"}
    assert calls.are("GetObjects")
    assert objects.cat("bucket/b") == b"bb"
    assert objects.cat("bucket/?") == {"bucket/a": DATA, "bucket/b": b"bb"}
    assert objects.cat("bucket/c", recursive=True) == {"bucket/c/d": b"dd"}
    assert objects.cat("bucket/b", recursive=True) == b"bb"
    assert objects.cat(["bucket/b", "bucket/none"], on_error="omit") == {"bucket/b": b"bb"}
    with pytest.raises(FileNotFoundError):
        objects.cat(["bucket/b", "bucket/none"])


def test_ranges_of_many_objects_are_read_with_a_call_for_each(objects, calls):
    paths = ["bucket/a", "bucket/b", "bucket/a", "bucket/a"]

    assert objects.cat_ranges(paths, [0, 1, 10, 4], [4, 2, 20, 10]) == [DATA[:4], b"b", DATA[10:20], DATA[4:10]]
    assert calls.are("GetRanges", "GetRanges")
    objects.cat_ranges(paths, -5, None)
    assert calls.are(*["HeadObject", "GetRanges"] * 2)


def test_ranges_that_are_no_further_apart_than_allowed_are_read_as_one(objects, calls):
    starts = [0, 100, 300]

    found = objects.cat_ranges(["bucket/a"] * 3, starts, [start + 10 for start in starts], max_gap=190)

    assert found == [DATA[start : start + 10] for start in starts]
    assert calls.are("GetRanges")
    assert found == objects.cat_ranges(["bucket/a"] * 3, starts, [start + 10 for start in starts])
    assert calls.are("GetRanges")


@pytest.mark.parametrize("gap", [None, 0, 1, 100, 5000])
def test_ranges_are_those_of_the_bytes_in_whatever_order(objects, gap):
    slices = [*SLICES, *pairwise(range(0, 2048, 300)), (0, 2048), (3, 3), (100, 400), (50, 60)]
    starts, ends = map(list, zip(*slices, strict=True))

    found = objects.cat_ranges(["bucket/a"] * len(slices), starts, ends, max_gap=gap)

    assert found == [DATA[start:end] for start, end in slices]


def test_a_range_that_cannot_be_read_has_its_error_in_its_place(objects):
    paths = ["bucket/none", "bucket/b", "No/bucket", "no-such-bucket/key", "bucket"]
    kinds = [FileNotFoundError, bytes, ValueError, FileNotFoundError, IsADirectoryError]

    for start, end in ((0, 1), (None, None)):
        found = objects.cat_ranges(paths, start, end)
        assert [isinstance(each, kind) for each, kind in zip(found, kinds, strict=True)] == [True] * 5
        with pytest.raises(FileNotFoundError):
            objects.cat_ranges(paths, start, end, on_error="raise")
    with pytest.raises(ValueError, match="2 paths"):
        objects.cat_ranges(["bucket/a", "bucket/b"], [0], [1, 2])
    with pytest.raises(TypeError):
        objects.cat_ranges("bucket/a", 0, 1)


def test_many_small_objects_are_written_in_one_call(fs, calls):
    fs.pipe({f"lucas://bucket/{number}": b"%d" % number for number in range(100)})

    assert calls.are("PutObjects")
    assert fs.cat_file("bucket/42") == b"42"


def test_an_object_is_created_once(fs, calls):
    fs.pipe_file("bucket/key", b"first", mode="create", content_type="text/x-own", metadata={"by": "me"})
    assert calls.are("PutObject")

    with pytest.raises(FileExistsError):
        fs.pipe_file("bucket/key", b"second", mode="create")
    with pytest.raises(FileExistsError):
        fs.pipe({"bucket/key": b"second", "bucket/other": b"2"}, mode="create")
    with pytest.raises(ValueError, match="overwrite"):
        fs.pipe_file("bucket/key", b"second", mode="replace")

    assert fs.cat("bucket/key") == b"first"
    assert (fs.info("bucket/key")["content_type"], fs.info("bucket/key")["metadata"]) == ("text/x-own", {"by": "me"})


def test_a_missing_object_and_a_missing_bucket_are_missing_files(fs):
    for path in ("bucket/none", "no-such-bucket/none"):
        with pytest.raises(FileNotFoundError) as caught:
            fs.cat_file(path)
        assert caught.value.filename


class Reports(fsspec.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, *_, **__):
        self.seen.append((self.value, self.size))


def test_files_are_moved_with_a_call_each_and_reported(fs, calls, tmp_path, transported):
    (tmp_path / "file").write_bytes(DATA)
    sent, got = Reports(), Reports()

    transported.put_file(tmp_path / "file", "bucket/file", callback=sent)
    transported.get_file("bucket/file", tmp_path / "new" / "copy", callback=got)

    assert (tmp_path / "new" / "copy").read_bytes() == DATA
    assert sent.seen[-1] == got.seen[-1] == (len(DATA), len(DATA))
    with pytest.raises(FileExistsError):
        transported.put_file(tmp_path / "file", "bucket/file", mode="create")
    with (tmp_path / "open").open("wb") as file:
        transported.get_file("bucket/file", file)
    assert (tmp_path / "open").read_bytes() == DATA


def test_a_missing_object_leaves_nothing_behind(fs, tmp_path):
    with pytest.raises(FileNotFoundError):
        fs.get("bucket/none", str(tmp_path / "file"))
    fs.pipe_file("bucket/one", b"1")
    with pytest.raises(IsADirectoryError):
        fs.get_file("bucket/one", tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("told", [{}, {"callback": Reports()}], ids=["at-once", "reported"])
def test_many_files_go_both_ways(fs, tmp_path, told):
    names = [f"{number:02}" for number in range(30)]
    (tmp_path / "tree").mkdir()
    for name in names:
        (tmp_path / "tree" / name).write_text(name)

    fs.put(f"{tmp_path}/tree/", "bucket/tree", recursive=True, mode="create", metadata={"by": "me"}, **told)
    fs.get("bucket/tree/*", f"{tmp_path}/back/", **told)

    assert {path.name: path.read_text() for path in (tmp_path / "back").iterdir()} == dict(
        zip(names, names, strict=True)
    )
    assert fs.info("bucket/tree/07")["metadata"] == {"by": "me"}
    with pytest.raises(FileExistsError):
        fs.put(f"{tmp_path}/tree/", "bucket/tree", recursive=True, mode="create", **told)
    with pytest.raises(FileNotFoundError):
        fs.get(["bucket/tree/01", "bucket/none"], [f"{tmp_path}/one", f"{tmp_path}/none"], **told)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("told", [{}, {"callback": Reports()}], ids=["at-once", "reported"])
def test_no_key_leads_out_of_the_directory_that_was_named(fs, tmp_path, monkeypatch, told):
    # later versions of fsspec have a check of their own
    monkeypatch.setattr("fsspec.spec.check_contained", lambda *_: None, raising=False)
    for key in ("../evil", "..ok", "a"):
        fs.client.put_object("bucket", key, b"1")

    with pytest.raises(InvalidParameterError, match="get that object alone, under a name of yours"):
        fs.get("bucket/", f"{tmp_path}/in/", recursive=True, **told)
    assert not (tmp_path / "evil").exists()

    fs.get("bucket/../evil", f"{tmp_path}/in/alone", **told)
    fs.get("bucket/..ok", f"{tmp_path}/in/", **told)
    assert sorted(path.name for path in (tmp_path / "in").iterdir() if path.name != "a") == ["..ok", "alone"]


def test_directories_go_both_ways(fs, tmp_path):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "a").write_bytes(b"1")
    (tmp_path / "tree" / "deep" / "b").write_bytes(b"2")

    fs.put(str(tmp_path / "tree"), "bucket/tree", recursive=True)
    fs.client.put_object("bucket", "tree/marked/", b"")
    fs.get("bucket/tree", str(tmp_path / "back"), recursive=True)

    assert fs.find("bucket/tree") == ["bucket/tree/a", "bucket/tree/deep/b"]
    assert sorted(path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*")) == [
        "a",
        "deep",
        "deep/b",
        "marked",
    ]
