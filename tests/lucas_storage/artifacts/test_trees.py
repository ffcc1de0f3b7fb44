"""Directories as artifacts: whole, file by file, and only what is there."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage import ArtifactRef, Out, Storage, with_storage
from lucas_storage.artifacts.blobs import key_of, prefix_of
from lucas_storage.artifacts.body import EncodedBody
from lucas_storage.errors import ArtifactNotFoundError, DecodeError, NoFormatError, UnsupportedError
from lucas_storage.formats import format_by_id
from lucas_storage.formats.base import Encoded

pytestmark = pytest.mark.usefixtures("settings")


def planted(root, files, folders=()):
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def seen_in(root):
    """Return what a directory holds: bytes and exec bit by path, None for a directory."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.stat()
        content = None if path.is_dir() else (path.read_bytes(), bool(status.st_mode & 0o100))
        found[path.relative_to(root).as_posix()] = content
    return found


@pytest.fixture
def tree(tmp_path):
    root = planted(
        tmp_path / "räum 1",
        {
            "a.txt": b"a" * 5000,
            "empty": b"",
            "deep/er/ü✓.bin": b"\x00\xff",
            "deep/run.sh": b"#!/bin/sh\n",
            ".hidden": b"h",
        },
        ["nothing/here", "deep/none"],
    )
    (root / "deep" / "run.sh").chmod(0o755)
    return root


def test_a_directory_comes_back_the_same(storage, tree):
    ref = storage.put(tree)
    back = storage.path(ref)

    assert (ref.kind, ref.format, ref.filename) == ("manifest", "tree@1", "räum 1")
    assert ref.size == sum(len(content[0]) for content in seen_in(tree).values() if content)
    assert seen_in(back) == seen_in(tree)
    assert (back.name, storage.get(ref), storage.get(ref, as_=Path)) == ("räum 1", back, back)


def test_what_arrives_is_read_only(storage, tree):
    back = storage.path(storage.put(tree))

    assert all(path.stat().st_mode & 0o222 == 0 for path in [back, *back.rglob("*")])


def test_a_directory_passes_between_functions(tmp_path, tree):
    @with_storage
    def make() -> Path:
        return tree

    @with_storage
    def count(x: Path) -> int:
        return len([path for path in x.rglob("*") if path.is_file()])

    @with_storage
    def unannotated(x) -> bool:
        return isinstance(x, Path) and x.is_dir()

    assert (count(x=make()), unannotated(x=make()), count(x=tree)) == (5, True, 5)


def test_an_empty_directory_comes_back(storage, tmp_path):
    ref = storage.put(planted(tmp_path / "none", {}, ["."]))

    assert (ref.size, list(storage.path(ref).iterdir())) == (0, [])


names = st.text("aé .-_🙂", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))


@given(
    files=st.dictionaries(st.tuples(names, names), st.tuples(st.binary(max_size=50), st.booleans()), max_size=6),
    folders=st.sets(names.map("d-".__add__), max_size=3),
)
def test_any_directory_comes_back_the_same(tmp_path_factory, storage, files, folders):
    root = planted(
        tmp_path_factory.mktemp("tree"), {f"f-{a}/{b}": data for (a, b), (data, _) in files.items()}, folders
    )
    for (a, b), (_, executable) in files.items():
        (root / f"f-{a}" / b).chmod(0o744 if executable else 0o644)

    assert seen_in(storage.path(storage.put(root))) == seen_in(root)


def test_equal_directories_have_equal_references(storage, tmp_path, tree):
    other = planted(tmp_path / "räum 2" / "räum 1", {"z": b"z"})
    for name, content in seen_in(tree).items():
        planted(other, {name: content[0]} if content else {}, [] if content else [name])
    (other / "deep" / "run.sh").chmod(0o711)
    (other / "z").unlink()

    assert storage.put(other) == storage.put(tree)


def test_of_a_changed_directory_only_the_change_is_stored(storage, tmp_path):
    rng = np.random.default_rng(7)
    root = planted(tmp_path / "t", {f"{n}": rng.bytes(5000) for n in range(50)})
    storage.put(root)
    before = {one["key"] for one in storage.iter_objects(storage.bucket, "a/")}
    (root / "7").write_bytes(b"changed")

    storage.put(root)
    added = [one for one in storage.iter_objects(storage.bucket, "a/") if one["key"] not in before]

    assert sorted(one["size"] < 20_000 for one in added) == [True, True]
    assert b"changed" in [storage.get_object(one["bucket"], one["key"]) for one in added]


@pytest.mark.parametrize("target", ["a.txt", "deep", "/etc/passwd", "missing"])
def test_links_are_refused_by_name(storage, tree, target):
    (tree / "deep" / "link").symlink_to(target)

    with pytest.raises(NoFormatError, match="the symbolic link 'deep/link'"):
        storage.put(tree)
    assert list(storage.iter_objects(storage.bucket, "a/")) == [] if storage.bucket_exists(storage.bucket) else True


def test_a_link_to_a_directory_is_that_directory(storage, tmp_path, tree):
    (tmp_path / "latest").symlink_to(tree)

    ref = storage.put(tmp_path / "latest")

    assert (ref.filename, seen_in(storage.path(ref))) == ("latest", seen_in(tree))


def test_what_is_neither_file_nor_directory_is_refused(storage, tmp_path):
    root = planted(tmp_path / "t", {"f": b"x"})
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(root / "s"))

        with pytest.raises(NoFormatError, match="'s', which is neither"):
            storage.put(root)


def test_a_name_that_is_no_text_is_refused(storage, tmp_path):
    root = planted(tmp_path / "t", {"f": b"x"})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_bytes(b"x")

    with pytest.raises(NoFormatError, match="no Unicode"):
        storage.put(root)


def test_one_file_of_a_directory_is_fetched_without_the_others(storage, settings, tree):
    ref = storage.put(tree)
    found = {name: storage.path(ref, only=name) for name in ("a.txt", "empty", "deep/er/ü✓.bin")}

    assert [path.name for path in found.values()] == ["a.txt", "empty", "ü✓.bin"]
    assert [path.read_bytes() for path in found.values()] == [b"a" * 5000, b"", b"\x00\xff"]
    assert not list(settings["cache_dir"].rglob("run.sh"))
    assert ref.path(only="a.txt") == found["a.txt"]


def test_one_file_of_a_cached_directory_is_where_it_is(storage, tree):
    ref = storage.put(tree)
    storage.path(ref)
    with Storage() as handle:
        storage.delete_object(ref.bucket, ref.key)

        assert handle.path(ref, only="a.txt").read_bytes() == b"a" * 5000


@pytest.mark.parametrize("name", ["no.txt", "deep", "../a.txt", "/etc/passwd", "", "."])
def test_a_file_that_is_not_there_names_some_that_are(storage, tree, name):
    ref = storage.put(tree)

    for _ in range(2):
        with pytest.raises(ArtifactNotFoundError, match=r"has no file .*it has \.hidden, a\.txt"):
            storage.path(ref, only=name)
        storage.path(ref)


def test_only_directories_hold_files(storage):
    with pytest.raises(UnsupportedError, match=r"bytes@1 holds no files; drop only='x'"):
        storage.path(storage.put(b"abc"), only="x")


@pytest.mark.parametrize("annotation", ["bytes", "str", "BinaryIO", "Iterator[bytes]", "np.ndarray"])
def test_a_directory_becomes_nothing_else(tree, annotation):
    @with_storage
    def make() -> Path:
        return tree

    def step(x):
        return None

    step.__annotations__["x"] = annotation

    with pytest.raises((DecodeError, TypeError), match=r"'x'"):
        with_storage(step)(x=make())
    with pytest.raises(TypeError, match=r"'x'"):
        with_storage(step)(x=tree)


def test_a_directory_has_no_bytes(storage, tree):
    with pytest.raises(DecodeError, match="has no bytes of its own"):
        storage.open(storage.put(tree))


def test_a_name_can_be_chosen_and_a_format_cannot(tree):
    @with_storage
    def named() -> Annotated[Path, Out(name="index")]:
        return tree

    @with_storage
    def declared() -> Annotated[Path, Out("parquet")]:
        return tree

    assert ArtifactRef.parse(named()).filename == "index"
    with pytest.raises(NoFormatError, match="cannot be declared to be parquet@1"):
        declared()


def forged(storage, *paths):
    """Return a reference to a manifest whose paths are what an attacker likes."""
    data = b"planted"
    part = storage.put(data)
    head = storage.head_object(part.bucket, part.key)
    parts = [[part.digest.removeprefix("sha256:"), len(data), head["crc32c"]]]
    files = [{"path": path, "executable": True, "parts": parts} for path in paths]
    text = json.dumps({"manifest": 1, "files": files, "folders": []}).encode()
    body = EncodedBody(Encoded((text,)))
    return replace(storage.keep(body, format_by_id("tree@1")), kind="manifest", size=len(data) * len(paths))


@pytest.mark.parametrize("path", ["../../../../../escaped", "/tmp/escaped", "a/../../escaped", "ok/./x"])
def test_a_manifest_that_leads_out_writes_nothing(storage, settings, path):
    ref = forged(storage, "fine", path)

    for read in (storage.path, lambda ref: storage.path(ref, only=path)):
        with pytest.raises(DecodeError, match="breaks a rule, and nothing was read by it"):
            read(ref)
    assert [one.name for one in Path(settings["cache_dir"]).rglob("*") if one.is_file()] == [".leases"]


def test_keys_of_parts_are_beside_their_manifest(storage, tree):
    ref = storage.put(tree)
    prefix = prefix_of(ref.key, ref.digest)

    assert prefix == "a"
    assert all(
        storage.object_exists(ref.bucket, key_of(prefix, part.digest)) for part in storage.manifest(ref).reached()
    )


def test_a_damaged_tree_in_the_cache_is_made_again(storage, tree):
    ref = storage.put(tree)
    back = storage.path(ref)
    (back / "a.txt").chmod(0o600)
    (back / "a.txt").write_bytes(b"short")

    assert seen_in(storage.path(ref)) == seen_in(tree)


@pytest.mark.slow
def test_a_tree_of_very_many_files(storage, tmp_path, thorough):
    count = 10_000 if thorough else 100
    root = planted(tmp_path / "t", {f"{n // 10}/{n}": b"%d" % n for n in range(count)})

    back = storage.path(storage.put(root))

    assert sum(1 for path in back.rglob("*") if path.is_file()) == count
    assert (back / "7" / "77").read_bytes() == b"77"
