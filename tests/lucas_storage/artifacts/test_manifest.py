"""Manifests: canonical, and refused before anything is done by them if they break a rule."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage.artifacts.manifest import WHOLE_MAX, Manifest, Part, TreeFile
from lucas_storage.errors import DecodeError, UnsupportedError

ONE = Part(digest="sha256:" + "a" * 64, size=5, crc32c="0a1b2c3d")
TWO = Part(digest="sha256:" + "b" * 64, size=7, crc32c="00000000")
TEXT = ["a" * 64, 5, "0a1b2c3d"]


def tree(*paths, folders=()):
    files = [{"path": path, "executable": False, "parts": [TEXT]} for path in paths]
    return json.dumps({"manifest": 1, "files": files, "folders": list(folders)}).encode()


parts = st.builds(
    Part,
    digest=st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:".__add__),
    size=st.integers(1, WHOLE_MAX),
    crc32c=st.text("0123456789abcdef", min_size=8, max_size=8),
)
sequences = st.lists(parts, max_size=4).map(tuple)
segments = st.text("abcé ._-", min_size=1, max_size=6).filter(lambda text: text not in (".", ".."))


@given(sequences, st.none() | sequences)
def test_a_file_or_stream_comes_back_the_same(data, items):
    manifest = Manifest(parts=data, items=items)

    assert manifest == Manifest.decode(manifest.encode())


@given(st.dictionaries(segments, st.tuples(st.booleans(), sequences), max_size=5))
def test_a_directory_comes_back_the_same(files):
    manifest = Manifest(files=tuple(TreeFile(path=f"in/{p}", executable=x, parts=s) for p, (x, s) in files.items()))

    assert manifest == Manifest.decode(manifest.encode())


def test_the_text_is_canonical():
    file = TreeFile(path="é", executable=True, parts=(ONE,))

    assert Manifest(parts=(ONE, TWO)).encode() == (
        f'{{"manifest":1,"parts":[["{"a" * 64}",5,"0a1b2c3d"],["{"b" * 64}",7,"00000000"]]}}'.encode()
    )
    assert Manifest(files=(file,), folders=("empty",)).encode() == (
        f'{{"files":[{{"executable":true,"parts":[["{"a" * 64}",5,"0a1b2c3d"]],"path":"é"}}],'
        f'"folders":["empty"],"manifest":1}}'.encode()
    )


def test_sizes_and_parts_are_those_of_everything():
    file = TreeFile(path="f", executable=False, parts=(ONE, TWO))

    assert (Manifest(parts=(ONE,), items=(TWO,)).size, Manifest(files=(file,)).size) == (5, 12)
    assert list(Manifest(parts=(ONE,), items=(TWO,)).reached()) == [ONE, TWO]
    assert list(Manifest(files=(file,)).reached()) == [ONE, TWO]


@pytest.mark.parametrize(
    "paths",
    [
        ["../up"],
        ["a/../../up"],
        ["/etc/passwd"],
        ["a//b"],
        ["a/"],
        ["."],
        [""],
        ["a/./b"],
        ["nul\x00"],
        ["a", "a"],
        ["a", "a/b"],
        ["a/b/c", "a"],
        ["\ud800"],
        ["x" * 256],
        [3],
        [None],
        [["a"]],
    ],
    ids=repr,
)
def test_paths_that_lead_out_or_get_in_the_way_are_refused(paths):
    with pytest.raises(DecodeError, match="breaks a rule, and nothing was read by it"):
        Manifest.decode(tree(*paths))
    with pytest.raises(DecodeError):
        Manifest.decode(tree("other", folders=paths))


def test_a_directory_that_holds_something_is_not_listed_as_empty():
    with pytest.raises(DecodeError):
        Manifest.decode(tree("a/b", folders=["a"]))


@pytest.mark.parametrize(
    "part",
    [
        ["a" * 63, 5, "0a1b2c3d"],
        ["A" * 64, 5, "0a1b2c3d"],
        ["a" * 64, 0, "0a1b2c3d"],
        ["a" * 64, -1, "0a1b2c3d"],
        ["a" * 64, WHOLE_MAX + 1, "0a1b2c3d"],
        ["a" * 64, True, "0a1b2c3d"],
        ["a" * 64, 5.0, "0a1b2c3d"],
        ["a" * 64, 5, "0a1b2c3"],
        ["a" * 64, 5],
        "aaa",
        None,
        {"a": 1, "b": 2, "c": 3},
    ],
    ids=repr,
)
def test_parts_that_are_none_are_refused(part):
    with pytest.raises(DecodeError):
        Manifest.decode(json.dumps({"manifest": 1, "parts": [part]}).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b"[]",
        b"null",
        b'{"parts":[]}',
        b'{"manifest":1}',
        b'{"manifest":1,"files":[{}],"folders":[]}',
        b"\xff",
        b"[" * 100_000,
        b'{"manifest":1,"files":3,"folders":[]}',
        b'{"manifest":1,"parts":[],"items":3}',
    ],
    ids=lambda text: repr(text[:40]),
)
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(DecodeError, match="breaks a rule"):
        Manifest.decode(text)


def test_a_newer_version_says_to_upgrade():
    with pytest.raises(UnsupportedError, match="needs a newer lucas-storage"):
        Manifest.decode(b'{"manifest":2,"parts":[]}')
