"""Large artifacts, one object or several parts: stored once, verified, and never half there."""

from __future__ import annotations

import hashlib
import io
import logging
import mmap
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from lucas_storage import ArtifactRef, Out, Storage, storage_context, with_storage
from lucas_storage.artifacts import body
from lucas_storage.artifacts.blobs import key_of, prefix_of
from lucas_storage.errors import (
    ArtifactNotFoundError,
    DecodeError,
    DigestMismatchError,
    InvalidRefError,
    UnsafeFormatError,
    UnsupportedError,
)
from lucas_storage.formats import base
from lucas_storage.formats.text import TextFormat
from lucas_storage.refs import digest_of
from lucas_storage.storage import storage_for

pytestmark = pytest.mark.usefixtures("small_parts")

PART = 4096  # as small_parts makes it
WHOLE = 4 * PART
FULL = 5
"""Full parts of the data, which a short one follows."""
SIZE = FULL * PART + 17
DATA = bytes(n * 7 % 251 for n in range(SIZE))


class WatchedStorage(Storage):
    """Counts the calls that reach the store, and lets the n-th fail."""

    calls: ClassVar[Counter[str]] = Counter()
    fail_at: ClassVar[int | None] = None

    @classmethod
    def reset(cls, fail_at=None):
        cls.calls, cls.fail_at = Counter(), fail_at

    def _watch(self, name):
        self.calls[name] += 1
        if self.calls.total() == self.fail_at:
            raise ConnectionError(name)

    def put_object(self, *args, **kwargs):
        self._watch("put")
        return super().put_object(*args, **kwargs)

    def upload_from_stream(self, *args, **kwargs):
        self._watch("put")
        return super().upload_from_stream(*args, **kwargs)

    def upload_file(self, *args, **kwargs):
        self._watch("put")
        return super().upload_file(*args, **kwargs)

    def head_object(self, *args, **kwargs):
        self._watch("head")
        return super().head_object(*args, **kwargs)

    def get_object(self, *args, **kwargs):
        self._watch("get")
        return super().get_object(*args, **kwargs)

    def stream_object(self, *args, **kwargs):
        self._watch("get")
        return super().stream_object(*args, **kwargs)


@pytest.fixture
def watched(settings, monkeypatch):
    monkeypatch.setattr("lucas_storage.storage.Storage", WatchedStorage)
    WatchedStorage.reset()
    return storage_for()


def put_parts(storage, data=DATA):
    """Store bytes whose number is known only at their end, as those of a stream."""
    return storage.put(io.BytesIO(data))


def part_keys(storage, ref):
    return [key_of(prefix_of(ref.key, ref.digest), part.digest) for part in storage.manifest(ref).reached()]


def cached_files(settings):
    return [path for path in Path(settings["cache_dir"]).rglob("*") if path.is_file() and path.name != ".leases"]


@pytest.mark.usefixtures("settings")
def test_what_is_known_only_at_its_end_is_a_manifest_of_parts(storage):
    ref = put_parts(storage)

    assert (ref.kind, ref.size, ref.format) == ("manifest", SIZE, "bytes@1")
    assert [part.size for part in storage.manifest(ref).parts] == [PART] * FULL + [17]
    assert b"".join(storage.get_object(ref.bucket, key) for key in part_keys(storage, ref)) == DATA
    assert ref == ArtifactRef.parse(ref.uri)


@pytest.mark.parametrize(
    "value", [DATA, DATA.decode("latin-1"), np.arange(SIZE), pa.table({"a": np.arange(SIZE)}), {"w": ["word"] * WHOLE}],
    ids=["bytes", "text", "array", "table", "data"],
)  # fmt: skip
def test_a_value_is_one_object_whatever_its_size(watched, value):
    ref = watched.put(value)

    assert (ref.kind, ref.size > WHOLE) == ("blob", True)
    assert [one["key"] for one in watched.iter_objects(watched.bucket)] == [ref.key]
    assert ref.digest == "sha256:" + hashlib.sha256(watched.get_object(ref.bucket, ref.key)).hexdigest()


@pytest.mark.parametrize("make", [lambda path: path.read_bytes(), Path], ids=["value", "file"])
def test_the_bytes_of_a_value_are_hashed_once_and_sent_once(watched, tmp_path, monkeypatch, make):
    (tmp_path / "file").write_bytes(DATA)
    value = make(tmp_path / "file")
    passes = Counter()
    monkeypatch.setattr(body, "digest_of", lambda pieces: passes.update(["digest"]) or digest_of(pieces))
    monkeypatch.setattr(base, "digest_of", lambda pieces: passes.update(["digest"]) or digest_of(pieces))
    monkeypatch.setattr(body, "_crc32c", lambda pieces: passes.update(["checksum"]))
    watched.put(value)

    assert passes == {"digest": 1}  # the checksum is the one that the client computes as it sends
    assert WatchedStorage.calls["put"] == 1


@pytest.mark.parametrize("value", [DATA, DATA.decode("latin-1")], ids=["bytes", "text"])
def test_large_values_come_back_the_same(storage, value):
    assert value == storage.get(storage.put(value))


def test_large_arrays_and_tables_are_mapped(storage):
    array = np.arange(10_000.0).reshape(100, -1)
    table = pa.table({"a": np.arange(10_000)})

    mapped = storage.get(storage.put(array))
    mapped[0] = -1
    arrived = storage.get(storage.put(table))

    assert isinstance(mapped.base, mmap.mmap)
    assert np.array_equal(storage.get(storage.put(array)), array)
    assert arrived.equals(table)


def test_a_large_file_is_one_object(storage, tmp_path):
    path = tmp_path / "räum.bin"
    path.write_bytes(DATA)
    ref = storage.put(path)

    assert (ref.kind, ref.filename) == ("blob", "räum.bin")
    assert (storage.path(ref).name, storage.path(ref).read_bytes()) == ("räum.bin", DATA)
    assert storage.path(ref).stat().st_mode & 0o777 == 0o444


def test_an_open_file_is_read_to_its_end(storage):
    small, large = io.BytesIO(b"abc"), io.BytesIO(DATA)

    assert storage.get(storage.put(small)) == b"abc"
    assert storage.get(storage.put(large)) == DATA


def test_equal_values_have_equal_references_however_they_come(storage, tmp_path):
    (tmp_path / "file").write_bytes(DATA)

    assert storage.put(DATA) == storage.put(DATA)
    assert storage.put(tmp_path / "file").digest == storage.put(DATA).digest


def test_equal_streams_have_equal_references_however_they_are_cut(storage):
    with storage.writer() as file:
        for start in range(0, SIZE, 777):
            file.write(DATA[start : start + 777])

    assert file.ref == put_parts(storage)


@pytest.mark.parametrize("put", [Storage.put, put_parts], ids=["one object", "parts"])
@pytest.mark.parametrize("annotation", [bytes, Path, BinaryIO, Iterator[bytes]], ids=str)
def test_a_large_artifact_arrives_as_annotated(storage, annotation, put):
    def step(x):
        if annotation is bytes:
            seen.append(x)
        elif annotation is Path:
            seen.append(x.read_bytes())
        else:
            seen.append(b"".join(x))

    seen = []
    step.__annotations__["x"] = annotation
    with_storage(step)(x=put(storage, DATA).to_json())

    assert seen == [DATA]


def test_a_file_over_parts_is_read_where_it_is_needed(watched):
    ref = put_parts(watched)
    WatchedStorage.reset()

    with watched.open(ref) as file:
        file.seek(3 * PART + 5)

        assert file.read(10) == DATA[3 * PART + 5 : 3 * PART + 15]
        assert (file.seek(-20, os.SEEK_END), file.read()) == (SIZE - 20, DATA[-20:])
        assert (file.seek(0), file.read()) == (0, DATA)
    assert WatchedStorage.calls["get"] <= 1 + FULL + 1 + 4


def test_pieces_that_are_not_asked_for_are_not_fetched(watched, settings):
    ref = put_parts(watched)
    WatchedStorage.reset()

    pieces = watched.chunks(ref)
    first = next(pieces)
    pieces.close()

    assert first == DATA[:PART]
    assert WatchedStorage.calls["get"] <= 1 + 5
    assert cached_files(settings) == []


def test_the_second_put_of_equal_bytes_uploads_nothing(watched):
    for value in (DATA, b"small", {"w": ["x" * 9] * 9000}):
        first = watched.put(value)
        WatchedStorage.reset()

        assert first == watched.put(value)
        assert WatchedStorage.calls["put"] == 0


def test_a_cached_read_reads_nothing(watched):
    large, small = watched.put(DATA), watched.put(b"abc" * 1000)
    watched.get(large), watched.get(small)
    WatchedStorage.reset()

    assert (watched.get(large), watched.get(small)) == (DATA, b"abc" * 1000)
    assert watched.path(large).read_bytes() == DATA
    assert WatchedStorage.calls == {}


def test_a_pass_through_calls_nothing(watched):
    ref = watched.put(DATA)
    WatchedStorage.reset()

    @with_storage
    def step(x: ArtifactRef) -> list:
        return [x, {"again": x}]

    assert step(x=ref.to_json()) == [ref.to_json(), {"again": ref.to_json()}]
    assert WatchedStorage.calls == {}


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "make", [lambda: io.BytesIO(DATA), lambda: iter([DATA[:9000], DATA[9000:]])], ids=["file", "stream"]
)
def test_whichever_call_fails_no_reference_escapes_and_the_retry_reuses_the_parts(watched, make):
    watched.put_object(watched.bucket, "so-that-the-bucket-is-there", b"")
    WatchedStorage.reset()
    total = None
    for n in range(1, 100):
        with storage_context(prefix=f"attempt-{n}"):
            storage = storage_for()
            WatchedStorage.reset(fail_at=n)
            try:
                ref = storage.put(make())
            except ConnectionError:
                ref = None
            before = {one["key"] for one in storage.iter_objects(storage.bucket, f"attempt-{n}/")}
            if ref is not None:
                total = n - 1
                break
            WatchedStorage.reset()
            ref = storage.put(make())
            sent = WatchedStorage.calls["put"]
            whole = {one["key"] for one in storage.iter_objects(storage.bucket, f"attempt-{n}/")}

            assert ref.key not in before
            assert len(whole) >= FULL + 2
            assert sent - WatchedStorage.calls["head"] <= len(whole - before)
            assert b"".join(storage.chunks(ref)) == DATA
    assert total is not None
    assert total >= FULL + 2


def test_a_generator_that_fails_leaves_no_reference(storage):
    def broken():
        yield DATA
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        storage.put(broken())


def damaged(data, how):
    return {
        "flipped": bytes([data[0] ^ 1]) + data[1:],
        "cut": data[:-1],
        "longer": data + b"x",
        "other": b"other",
        "empty": b"",
    }[how]


class Spy(TextFormat):
    """The text format, which notes whether it was asked to decode."""

    asked = False

    def decode(self, source, want, *, proof=None):
        data = source.read()
        Spy.asked = True
        return str(data, "utf-8")


@pytest.fixture
def spy(monkeypatch):
    from lucas_storage.formats import registry

    Spy.asked = False
    monkeypatch.setitem(registry._FORMATS, "text@1", Spy())
    return Spy


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("which", "how"),
    [
        pytest.param(which, how, marks=[] if which == FULL or how == "flipped" else [pytest.mark.thorough])
        for which in ("manifest", 0, 3, FULL)
        for how in ("flipped", "cut", "longer", "other", "empty")
    ],
)
def test_damage_in_the_store_is_found_before_anything_is_decoded(storage, settings, spy, how, which):
    ref = replace(put_parts(storage), format="text@1")
    key = ref.key if which == "manifest" else part_keys(storage, ref)[which]
    storage.put_object(ref.bucket, key, damaged(storage.get_object(ref.bucket, key), how))

    for read in (storage.get, storage.path, storage.verify, lambda ref: b"".join(storage.chunks(ref))):
        with pytest.raises(DigestMismatchError) as caught:
            read(ref)
        assert caught.value.ref == ref
    with pytest.raises(DigestMismatchError):
        storage.open(ref).read()
    assert not spy.asked
    assert cached_files(settings) == []


@pytest.mark.parametrize("how", ["flipped", "cut", "longer", "other", "empty"])
def test_damage_of_a_single_object_is_found_before_anything_is_decoded(storage, settings, spy, how):
    ref = storage.put(DATA.decode("latin-1"))
    storage.put_object(ref.bucket, ref.key, damaged(storage.get_object(ref.bucket, ref.key), how))

    for read in (storage.get, storage.path, storage.verify, lambda ref: b"".join(storage.chunks(ref))):
        with pytest.raises(DigestMismatchError) as caught:
            read(ref)
        assert caught.value.ref == ref
    with pytest.raises(DigestMismatchError):
        storage.open(ref).read()
    assert not spy.asked
    assert cached_files(settings) == []


def test_the_last_bytes_of_a_damaged_object_are_not_handed_out(storage):
    ref = storage.put(DATA * 100)
    storage.put_object(ref.bucket, ref.key, damaged(DATA * 100, "flipped"))

    with storage.open(ref) as file:
        for pieces in (storage.chunks(ref), iter(lambda: file.read(1000), b"")):
            received = []
            with pytest.raises(DigestMismatchError):
                received.extend(pieces)
            assert len(b"".join(received)) < ref.size


@pytest.mark.parametrize("which", ["manifest", 3])
def test_the_next_put_mends_what_was_found_damaged(storage, which):
    ref = put_parts(storage)
    key = ref.key if which == "manifest" else part_keys(storage, ref)[which]
    storage.put_object(ref.bucket, key, damaged(storage.get_object(ref.bucket, key), "flipped"))
    with pytest.raises(DigestMismatchError):
        storage.get(ref)

    assert ref == put_parts(storage)
    assert storage.get(ref) == DATA


@pytest.mark.parametrize("which", ["manifest", 3])
def test_what_is_gone_is_named(storage, which):
    ref = put_parts(storage)
    storage.delete_object(ref.bucket, ref.key if which == "manifest" else part_keys(storage, ref)[which])

    with pytest.raises(ArtifactNotFoundError, match="is gone from store 'default'"):
        storage.get(ref)


def test_a_damaged_copy_in_the_cache_is_made_again(storage):
    ref = storage.put(DATA)
    path = storage.path(ref)
    path.chmod(0o600)
    path.write_bytes(DATA[:-1])

    assert storage.get(ref) == DATA


def test_a_manifest_of_another_size_or_kind_than_its_reference_is_refused(storage, tmp_path):
    (tmp_path / "f").write_bytes(DATA)
    value, tree = put_parts(storage), storage.put(tmp_path)

    for wrong in (replace(value, size=value.size + 1), replace(value, format="tree@1"), replace(tree, format="npy@1")):
        with pytest.raises(DecodeError, match="of another size or kind"):
            storage.path(wrong)


def test_a_manifest_reference_that_is_not_under_its_digest_is_refused(storage):
    ref = put_parts(storage)

    with pytest.raises(InvalidRefError, match="lies under its digest"):
        storage.get(replace(ref, key="elsewhere"))
    with pytest.raises(UnsupportedError, match="needs a reference with its digest"):
        storage.get(replace(ref, digest=None))


def test_verify_reads_every_part(storage):
    ref = put_parts(storage)
    storage.get(ref)
    storage.verify(ref)
    key = part_keys(storage, ref)[3]
    storage.put_object(ref.bucket, key, b"x" * PART)

    with pytest.raises(DigestMismatchError):
        storage.verify(ref)


@pytest.mark.parametrize("put", [Storage.put, put_parts], ids=["one object", "parts"])
def test_stat_says_the_size_of_the_whole(storage, put):
    ref = put(storage, DATA)

    assert (storage.stat(ref).size, storage.stat(ref).digest) == (SIZE, ref.digest)


def test_many_threads_that_want_one_artifact_fetch_it_once(watched):
    ref = put_parts(watched)
    WatchedStorage.reset()
    found = []
    threads = [threading.Thread(target=lambda: found.append(watched.local(ref))) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(found), len(set(found))) == (64, 1)
    assert WatchedStorage.calls["get"] == 1 + FULL + 1


@pytest.mark.thorough
def test_processes_that_assemble_one_artifact_at_once_are_both_right(storage, settings, tmp_path):
    (tmp_path / "tree" / "inner").mkdir(parents=True)
    for n in range(30):
        (tmp_path / "tree" / "inner" / str(n)).write_bytes(DATA[: n * 1000])
    refs = [put_parts(storage), storage.put(tmp_path / "tree")]
    code = (
        "import sys; from lucas_storage import Storage, storage_context\n"
        "endpoint, cache, bucket, *uris = sys.argv[1:]\n"
        "with storage_context(endpoint=endpoint, cache_dir=cache, bucket=bucket):\n"
        "    for uri in uris:\n"
        "        path = Storage().path(uri)\n"
        "        files = sorted(path.rglob('*')) if path.is_dir() else [path]\n"
        "        print(sum(file.stat().st_size for file in files if file.is_file()))\n"
    )
    command = [sys.executable, "-c", code, settings["endpoint"], str(settings["cache_dir"]), settings["bucket"]]
    children = [
        subprocess.Popen([*command, *(ref.uri for ref in refs)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = [child.communicate(timeout=60)[0].split() for child in children]

    assert answers == [[str(ref.size) for ref in refs]] * 3


class Weights(np.ndarray):
    """An array of a class that only a pickle holds."""


@pytest.mark.usefixtures("settings")
def test_a_pickle_with_large_buffers_is_a_signed_manifest(storage):
    value = {"weights": np.arange(2000).view(Weights), "bias": {1, np.float64(2)}}
    ref = storage.put(value, format="pickle5")

    assert (ref.kind, ref.format, ref.signature is not None) == ("manifest", "pickle5@1", True)
    assert np.array_equal(storage.get(ref)["weights"], value["weights"])


def test_equal_buffers_of_different_pickles_are_stored_once(watched):
    array = np.arange(10_000)
    watched.put({"epoch": 1, "weights": array}, format="pickle5")
    WatchedStorage.reset()
    watched.put({"epoch": 2, "weights": array}, format="pickle5")
    stored = sum(1 for _ in watched.iter_objects(watched.bucket, "a/"))

    assert stored <= len(array) * 8 // PART + 1 + 4


@pytest.mark.parametrize("change", [{"signature": None}, {"kind": "blob"}, {"size": 1}], ids=str)
def test_a_changed_pickle_manifest_is_refused(storage, change):
    ref = storage.put({"a": np.arange(5000).view(Weights)}, format="pickle5")

    with pytest.raises(UnsafeFormatError):
        storage.get(replace(ref, **change))


def test_a_returned_path_of_the_cache_is_not_uploaded(watched, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "f").write_bytes(DATA)
    (tmp_path / "small").write_bytes(b"x" * 5000)
    (tmp_path / "large").write_bytes(DATA)

    @with_storage
    def step(x: Path) -> Path:
        return x

    for name in ("tree", "small", "large"):
        ref = watched.put(tmp_path / name)
        WatchedStorage.reset()
        back = ArtifactRef.parse(step(x=ref.to_json()))

        assert (back, back.filename) == (ref, name)
        assert WatchedStorage.calls["put"] == 0


def test_a_path_of_the_cache_is_uploaded_where_the_store_does_not_hold_it(settings, storage, tmp_path):
    (tmp_path / "large").write_bytes(DATA)
    path = storage.path(storage.put(tmp_path / "large"))

    with storage_context(bucket="another-one"):
        ref = storage_for().put(path)

        assert ref.bucket == "another-one"
        assert storage_for().get(ref) == DATA


def test_what_is_old_is_stored_again_so_that_it_does_not_count_as_old(watched):
    with storage_context(grace=1e-6):
        storage = storage_for()
        put_parts(storage)
        WatchedStorage.reset()
        put_parts(storage)

    assert WatchedStorage.calls["put"] >= FULL + 2


def test_a_format_can_be_declared_for_a_stream_of_bytes(storage):
    import pandas as pd

    table = io.BytesIO()
    pd.DataFrame({"a": np.random.default_rng(1).random(3000)}).to_parquet(table)

    @with_storage
    def step() -> Annotated[Iterator[bytes], Out("parquet", name="t.parquet")]:
        table.seek(0)
        yield from iter(lambda: table.read(1000), b"")

    ref = ArtifactRef.parse(step())

    assert (ref.kind, ref.format, ref.filename) == ("manifest", "parquet@1", "t.parquet")
    assert len(storage.get(ref)) == 3000


def test_nothing_of_a_value_is_logged(storage, caplog):
    caplog.set_level(logging.DEBUG)
    storage.get(storage.put("the planted value " * 2000))

    assert "planted" not in caplog.text
