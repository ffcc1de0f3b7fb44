"""Garbage collection: what nothing reaches goes, what anything reaches stays, and nobody has to wait."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from actorc.storage import UnsupportedError
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server
from lucas_storage import ArtifactRef, Storage, run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.gc.collect import collect
from lucas_storage.records import record_store

HOUR = 3600.0
DAY = 24 * HOUR
GRACE = 48 * HOUR
TTL = 30 * DAY


class Clock:
    """Tells the server the time; it begins in the past, so that what is stored is old for everybody else."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock(time.time() - 60 * DAY)


@pytest.fixture
def store(clock, tmp_path, empty_registry):
    with serving(MemoryEngine(clock=clock), tmp_path) as storage:
        yield storage


@pytest.fixture
def gc(store, clock):
    return collector(store, clock)


@pytest.fixture
def gateway(clock, tmp_path):
    """A store that removes without a condition only."""
    pytest.importorskip("obstore", reason="remote engines need obstore, which is not installed")
    from actorc.storage.server.engines.remote import RemoteEngine
    from actorc.storage.server.engines.remote.store_url import StoreUrl

    with serving(RemoteEngine(StoreUrl(scheme="remote+memory", bucket=""), clock=clock), tmp_path) as storage:
        yield storage


@contextmanager
def serving(engine, cache):
    with local_server(engine) as server:
        given = {"endpoint": server.endpoint, "cache_dir": cache, "bucket": "bucket", "signing_key": "0123456789abcdef"}
        with storage_context(**given), Storage() as storage:
            storage.create_bucket("bucket")
            yield storage


def collector(store, clock):
    def collected(*, delete=True, grace=GRACE, ttl=TTL, quiescent=False):
        return collect(store, grace=grace, ttl=ttl, now=clock.now, delete=delete, quiescent=quiescent)

    return collected


def exists(store, *refs):
    return [store.object_exists(ref.bucket, ref.key) for ref in refs]


def blobs(store):
    return sum(1 for _ in store.iter_objects(store.bucket, "a/"))


def test_garbage_is_marked_and_removed_the_next_time(store, clock, gc):
    garbage, named = store.put(b"garbage"), store.put(b"named")
    store.publish(named, "name")
    clock.now += GRACE + 1

    first, between, second = gc(), exists(store, garbage, named), gc()

    assert (first.marked.objects, first.due.objects, first.removed.objects) == (1, 0, 0)
    assert between == [True, True]
    assert (second.marked.objects, second.due.objects, second.removed.objects) == (0, 1, 1)
    assert (len(b"garbage"), len(b"named")) == (second.removed.size, second.reached.size)
    assert exists(store, garbage, named) == [False, True]


def test_nothing_changes_until_it_is_told_to_delete(store, clock, gc):
    garbage = store.put(b"garbage")
    clock.now += GRACE + 1

    looks = [gc(delete=False) for _ in range(3)]

    assert [look.marked.objects for look in looks] == [1, 1, 1]
    assert exists(store, garbage) == [True]
    assert record_store.read(store, record_store.MARKED) is None


def test_what_is_young_is_spared(store, clock, gc):
    young = store.put(b"young")
    clock.now += GRACE - 1

    assert [(each.young.objects, each.marked.objects) for each in (gc(), gc())] == [(1, 0), (1, 0)]
    assert exists(store, young) == [True]


def test_what_is_reached_again_is_not_removed(store, clock, gc):
    ref = store.put(b"garbage for now")
    clock.now += GRACE + 1
    gc()
    store.publish(ref, "name")

    assert (gc().due.objects, gc().removed.objects) == (0, 0)
    assert exists(store, ref) == [True]


@pytest.mark.parametrize("size", [10, 2 << 20])
def test_what_is_put_again_between_the_two_passes_is_not_removed(store, clock, gc, size):
    value = b"x" * size
    ref = store.put(value)
    clock.now += GRACE + 1
    gc()

    again = store.put(value)
    after = gc()

    assert ref == again
    assert (after.young.objects, after.due.objects, after.removed.objects) == (1, 0, 0)
    assert exists(store, ref) == [True]


def test_what_is_put_again_while_the_second_pass_runs_is_not_removed(store, clock, gc, monkeypatch):
    value = b"x" * 100_000
    ref = store.put(value)
    clock.now += GRACE + 1
    gc()
    genuine = Storage.delete_object

    def late(self, bucket, key, **options):
        if key == ref.key:
            store.put(value)
        return genuine(self, bucket, key, **options)

    monkeypatch.setattr(Storage, "delete_object", late)
    after = gc()

    assert (after.due.objects, after.removed.objects) == (1, 0)
    assert exists(store, ref) == [True]


class Looking(Storage):
    """A handle that calls a hook once, when the names are listed, after the objects."""

    hook = None

    def iter_objects(self, bucket, prefix="", **options):
        if prefix == record_store.NAMES and self.hook is not None:
            hook, self.hook = self.hook, None
            hook()
        return super().iter_objects(bucket, prefix, **options)


def test_what_another_collection_marks_during_a_look_is_not_removed_by_that_look(store, clock, gc):
    """Both have found it unreferenced at the same time, which is once."""
    ref = store.put(b"garbage")
    clock.now += GRACE + 1
    with Looking() as storage:
        storage.hook = gc
        done = collector(storage, clock)()

    assert storage.hook is None
    assert (done.marked.objects, done.removed.objects, exists(store, ref)) == (1, 0, [True])


def test_a_hit_half_way_through_the_grace_is_as_good_as_new(store, clock):
    with storage_context(grace=2 * HOUR), Storage() as writer:
        clock.now = time.time() - 0.9 * HOUR
        ref = writer.put(b"x" * 100_000)
        young = writer.head_object(ref.bucket, ref.key)["generation"]
        writer.put(b"x" * 100_000)
        same = writer.head_object(ref.bucket, ref.key)["generation"]

    with storage_context(grace=1 * HOUR), Storage() as writer:
        writer.put(b"x" * 100_000)
        renewed = writer.head_object(ref.bucket, ref.key)["generation"]

    assert young == same < renewed


def test_data_keeps_what_it_refers_to(store, clock, gc):
    inner = [store.put(np.full(10_000, n)) for n in range(4)]
    outer = store.put({"deep": [{"parts": inner[:2]}, "x" * 100_000]})
    small = store.put({1: inner[2]})
    dated = store.put(OrderedDict({date(2026, 11, 23): [inner[3], "x" * 100_000]}))
    assert [ref.format for ref in (outer, small, dated)] == ["json@1", "json@1", "json@2"]
    for number, ref in enumerate((outer, small, dated)):
        store.publish(ref, f"name-{number}")
    garbage = store.put(b"garbage")
    clock.now += GRACE + 1

    gc(), gc()

    assert exists(store, outer, small, dated, *inner) == [True] * 7
    assert exists(store, garbage) == [False]


def test_what_a_reference_carries_is_looked_into_as_well(store, clock, gc):
    @with_storage(cache=True)
    def step(storage):
        return {(1, 2): storage.put(np.arange(10_000))}

    found = ArtifactRef.parse(step())
    clock.now += GRACE + 1

    gc(), gc()

    assert (found.kind, blobs(store)) == ("inline", 1)
    assert found.load()[1, 2].sum() == 49_995_000


class Model:
    """An object that holds an array."""


def test_an_object_keeps_the_files_and_arrays_that_it_holds(store, clock, gc, tmp_path):
    model = Model()
    model.weights, model.file = np.arange(10_000), tmp_path / "file"
    model.file.write_bytes(b"content" * 1000)
    model.parent = store.put(np.full(10_000, 2))
    ref = store.put([model])
    store.publish(ref, "model")
    garbage = store.put(b"garbage")
    clock.now += GRACE + 1

    gc(), gc()

    assert exists(store, garbage) == [False]
    assert store.get(ref)[0].weights.sum() == 49_995_000
    assert store.get(ref)[0].file.read_bytes() == model.file.read_bytes()
    assert store.get(ref)[0].parent == model.parent
    assert model.parent.load().sum() == 20_000


def test_directories_and_streams_keep_their_parts(store, clock, gc, tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    for number in range(3):
        (folder / "sub" / f"{number}.txt").write_text("text" * (number + 1))
    tree = store.put(folder)
    stream = store.put(bytes([n]) * 100 for n in range(10))
    arrays = store.put({"n": n, "array": np.full(10_000, n)} for n in range(3))
    for number, ref in enumerate((tree, stream, arrays)):
        store.publish(ref, f"name-{number}")
    kept = blobs(store)
    clock.now += GRACE + 1

    gc(), gc()

    assert kept == blobs(store)
    for ref in (tree, stream, arrays):
        store.verify(ref)
    assert [int(one["array"][0]) for one in store.get(arrays, as_=list)] == [0, 1, 2]


def test_the_parts_of_what_nothing_reaches_go_with_it(store, clock, gc, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("a")
    store.put(folder)
    clock.now += GRACE + 1

    gc(), gc()

    assert blobs(store) == 0


def test_a_cached_result_counts_for_as_long_as_it_is_kept(store, clock, gc):
    @with_storage(cache=True)
    def step(n):
        return np.arange(n)

    kept = ArtifactRef.parse(step(n=10_000))
    clock.now += TTL - 1
    gc(), gc()
    assert exists(store, kept) == [True]

    clock.now += 2
    first, second = gc(), gc()

    assert (first.expired, second.expired) == (1, 0)
    assert exists(store, kept) == [False]
    assert list(store.iter_objects(store.bucket, "memo/")) == []


def test_a_certain_age_counts_from_when_it_was_kept(store, clock, gc):
    now = clock.now
    for age, key in ((DAY, "aa"), (90 * DAY, "bb")):
        content = {"memo": 1, "at": now, "age": age, "result": store.put(key.encode())}
        record_store.write(store, record_store.record_key(record_store.MEMO, key), content)
    clock.now += 60 * DAY

    assert (gc().expired, gc().removed.objects) == (1, 1)
    assert blobs(store) == 1


def test_runs_and_checkpoints_count_for_a_while(store, clock, gc):
    @function
    @with_storage
    def step(n, storage):
        storage.checkpoint().save(b"state" * 1000)
        return np.arange(n)

    @workflow
    def flow(wf):
        return wf.call("step", {"n": wf.input()["n"]})

    out = run(flow, {"n": 10_000}, materialize=False)
    kept = blobs(store)
    clock.now += TTL - 1
    gc(), gc()
    assert kept == blobs(store)

    clock.now += 2
    gc(), gc()

    assert exists(store, out) == [False]
    assert [key for key in ("runs/", "checkpoints/", "a/") if list(store.iter_objects(store.bucket, key))] == []


def test_a_reference_by_another_name_of_the_store_counts(store, clock, gc):
    ref = store.put(b"x" * 100)
    record_store.write(store, "names/planted/one.json", {"ref": replace(ref, store="prod")})
    clock.now += GRACE + 1

    gc(), gc()

    assert exists(store, ref) == [True]


def test_what_is_not_ours_is_left_alone(store, clock, gc):
    others = ["a/mine.csv", "data/x", "a/sha256/ab/short", "b/sha256/ab/" + "ab" * 32]
    for key in others:
        store.put_object(store.bucket, key, b"data")
    clock.now += GRACE + 1

    gc(), gc()

    assert all(store.object_exists(store.bucket, key) for key in others)


@pytest.mark.parametrize("text", [b"", b"{", b'{"ref": {"$artifact": "lucas://default/b/k?!new=1"}}'])
def test_while_a_record_cannot_be_read_nothing_is_removed(store, clock, gc, text):
    garbage = store.put(b"garbage")
    clock.now += GRACE + 1
    gc()
    store.put_object(store.bucket, "names/planted/one.json", text)

    blocked = gc()
    store.delete_object(store.bucket, "names/planted/one.json")

    assert (blocked.problems, blocked.removed.objects) == (("names/planted/one.json",), 0)
    assert exists(store, garbage) == [True]
    assert gc().removed.objects == 1


def test_a_manifest_that_cannot_be_read_stops_the_removal(store, clock, gc):
    ref = replace(store.put(b"no manifest"), kind="manifest")
    record_store.write(store, "names/planted/one.json", {"ref": ref})
    store.put(b"garbage")
    clock.now += GRACE + 1

    assert [(ref.key,), (ref.key,)] == [gc().problems, gc().problems]
    assert blobs(store) == 2


def test_an_artifact_that_is_gone_stops_nothing(store, clock, gc):
    ref = store.put({"x": ["y" * 100_000]})
    store.publish(ref, "name")
    store.delete_object(ref.bucket, ref.key)
    store.put(b"garbage")
    clock.now += GRACE + 1

    assert (gc().problems, gc().removed.objects) == ((), 1)


def test_an_empty_store_is_collected(store, gc):
    store.delete_bucket(store.bucket)

    assert (gc(delete=False).reached.objects, gc(delete=False).problems) == (0, ())


def test_where_a_removal_has_no_condition_it_takes_a_word_that_nobody_stores_meanwhile(gateway, clock):
    gc = collector(gateway, clock)
    garbage, named = gateway.put(b"garbage"), gateway.put(b"named")
    gateway.publish(named, "name")
    clock.now += GRACE + 1

    for _ in range(2):
        with pytest.raises(UnsupportedError, match="gc --delete --quiescent"):
            gc()

    assert (gc(delete=False).marked.objects, gc(delete=False).due.objects) == (1, 0)
    assert exists(gateway, garbage, named) == [True, True]


def test_while_nobody_stores_garbage_and_old_records_go_without_a_condition(gateway, clock):
    gc = collector(gateway, clock)
    garbage, named = gateway.put(b"garbage"), gateway.put(b"named")
    gateway.publish(named, "name")
    record_store.write(gateway, "runs/old/run.json", {"run": 1})
    clock.now += TTL + 1

    first, second, third = (gc(quiescent=True) for _ in range(3))

    assert (first.marked.objects, first.removed.objects, first.expired) == (1, 0, 1)
    assert (second.due.objects, second.removed.objects, second.expired) == (1, 1, 0)
    assert (third.due.objects, third.reached.objects) == (0, 1)
    assert exists(gateway, garbage, named) == [False, True]


def test_what_is_stored_again_behind_the_back_of_a_word_is_left_if_it_is_seen(gateway, clock, monkeypatch):
    gc = collector(gateway, clock)
    value = b"x" * 100_000
    ref = gateway.put(value)
    clock.now += GRACE + 1
    gc(quiescent=True)
    genuine = Storage.head_object

    def late(self, bucket, key, **options):
        if key == ref.key:
            gateway.put_object(bucket, key, value)
        return genuine(self, bucket, key, **options)

    monkeypatch.setattr(Storage, "head_object", late)
    after = gc(quiescent=True)

    assert (after.due.objects, after.removed.objects) == (1, 0)
    assert exists(gateway, ref) == [True]
