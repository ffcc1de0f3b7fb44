"""What a collection would do with each object, and why."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lucas_storage import ArtifactRef, Storage, run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.gc.collect import collect
from lucas_storage.gc.judged_records import Judging
from lucas_storage.gc.plan import plan
from lucas_storage.gc.policy import NO_POLICY
from lucas_storage.records import record_store
from lucas_storage.records.index import run_index
from lucas_storage.records.index.run_index import digits_of
from lucas_storage.records.index.run_indexing import RunIndex
from lucas_storage.records.ulid import first_at

DAY = 86_400.0
LIMITS = {"grace": 2 * DAY, "ttl": 30 * DAY}


@pytest.fixture
def fate(store, clock):
    """Return what becomes of an artifact."""

    def of(ref):
        found = plan(store, Judging(policy=NO_POLICY, **LIMITS, now=clock.now))
        return next(each for each in found.objects if each.key == ref.key)

    return of


def flow_of(value):
    @function
    @with_storage
    def make(n):
        return value

    @workflow
    def flow(wf):
        return wf.call("make", {"n": wf.input()["n"]})

    return flow


def test_what_is_published_is_kept_by_its_name_for_ever(store, fate):
    ref = store.publish(store.put(b"named"), "model", version="1.0", alias="best")
    found = fate(ref)

    assert (found.state, found.keeper.kind, found.keeper.until) == ("kept", "name", None)
    assert found.keeper.label in ("model", "model@1.0", "model@best")
    assert found.reason.startswith("kept by the name model")


def test_what_a_run_made_is_kept_by_its_records_as_long_as_they_count(store, clock, fate):
    ref = run(flow_of(np.arange(10_000)), {"n": 1}, materialize=False)
    found = fate(ref)

    assert (found.state, found.keeper.kind in ("run", "memo")) == ("kept", True)
    assert found.keeper.until == pytest.approx(clock.now + 30 * DAY)


def test_what_a_name_keeps_through_another_artifact_says_which(store, clock, fate):
    inner = store.put(np.arange(10_000))
    outer = store.publish(store.put({"table": inner, "text": "x" * 100_000}), "both")
    found = fate(inner)

    assert (found.keeper.label, found.keeper.through) == ("both", outer.key)
    assert found.reason == f"kept by the name both through {outer.key}"
    assert fate(outer).keeper.through is None


def test_parts_are_kept_through_their_manifest(store, small_parts):
    ref = store.publish(store.put(iter([b"x" * 5000, b"y" * 5000])), "parts")
    objects = plan(store, Judging(policy=NO_POLICY, **LIMITS, now=time.time())).objects

    assert len(objects) > 2
    assert {each.keeper.through for each in objects if each.key != ref.key} == {ref.key}


def test_of_two_keepers_the_one_that_counts_longer_is_named(store, fate):
    ref = run(flow_of(np.arange(10_000)), {"n": 1}, materialize=False)
    store.publish(store.put([ref] * 2000), "list")

    assert (fate(ref).keeper.label, fate(ref).keeper.kind) == ("list", "name")


def test_the_same_bytes_read_in_another_format_keep_what_they_refer_to(store, fate):
    inner = store.put(np.arange(10_000))
    outer = store.put({"table": inner, "text": "x" * 100_000})
    as_bytes = ArtifactRef(bucket=outer.bucket, key=outer.key, digest=outer.digest, size=outer.size, format="bytes@1")
    store.publish(as_bytes, "a-bytes")
    store.publish(outer, "b-json")

    assert fate(inner).keeper.label == "b-json"


def test_what_nothing_refers_to_goes_in_three_steps(store, clock, fate):
    ref = store.put(b"garbage")
    states = [fate(ref).state]
    clock.now += 3 * DAY
    states.append(fate(ref).state)
    collect(store, **LIMITS, now=clock.now, delete=True)
    states.append(fate(ref).state)

    assert states == ["young", "unmarked", "due"]
    assert "nothing refers to it" in fate(ref).reason


def test_a_collection_returns_the_plan_it_followed(store, clock):
    store.put(b"garbage")
    done = collect(store, **LIMITS, now=clock.now + 3 * DAY, delete=True)

    assert [each.state for each in done.plan.objects] == ["unmarked"]


def test_the_index_forgets_the_runs_whose_records_are_gone(store, clock):
    old = run(flow_of(np.arange(10_000)), {"n": 1}, materialize=False)
    clock.now += 20 * DAY
    new = run(flow_of(np.arange(20_000)), {"n": 2}, materialize=False)
    clock.now += 20 * DAY
    looked = plan(store, Judging(policy=NO_POLICY, **LIMITS, now=clock.now), is_for_removal=True)
    collect(store, **LIMITS, now=clock.now, delete=True)

    assert len(looked.stale) == 2
    assert [run_index.entries(store, digits_of(ref), "made") != [] for ref in (old, new)] == [False, True]


def test_marks_that_say_nothing_new_are_removed_and_no_run_is_indexed_again(store, clock, monkeypatch):
    ref = run(flow_of(np.arange(10_000)), {"n": 1}, materialize=False)
    record_store.write(store, run_index.INDEXED, {"lineage": 1, "until": first_at(time.time() + 60)})
    collect(store, **LIMITS, now=clock.now, delete=True)
    left = [head["key"] for head in store.iter_objects("bucket", "lineage/")]
    monkeypatch.setattr(Storage, "get_objects", None)

    assert sorted(key.split("/")[1] for key in left) == sorted([digits_of(ref), "indexed.json"])
    assert len(RunIndex(store).entries(digits_of(ref))) == 1


@pytest.mark.parametrize(
    ("at", "age"), [(1e308, 1e308), (10**400, 1), (1, 10**400), ("x", None), (True, True), ([], {}), (-1e308, 5)]
)
def test_a_cached_result_of_a_stranger_stops_no_collection(store, clock, at, age):
    record_store.write(store, f"memo/00/{'0' * 64}.json", {"memo": 1, "at": at, "age": age, "result": 1})

    assert collect(store, **LIMITS, now=clock.now, delete=True).problems == ()


def test_small_data_that_may_refer_to_others_is_read_in_few_calls(store, fate, monkeypatch):
    inner = [store.put(b"inner %d" % number) for number in range(50)]
    outer = [store.put({"pad": "x" * 70_000, "ref": ref}) for ref in inner]
    for number, ref in enumerate(outer):
        store.publish(ref, f"name-{number}")
    record_store.write(store, "names/all/7ZZZZZZZZZZZZZZZZZZZZZZZZZ.json", {"ref": outer})
    monkeypatch.setattr(Storage, "get_object", None)  # one by one

    assert {fate(ref).state for ref in (inner[0], inner[-1], outer[-1])} == {"kept"}
    assert fate(inner[7]).keeper.through == outer[7].key


def test_small_data_that_cannot_be_read_is_a_problem_of_its_own(store, clock):
    refs = [store.put({"pad": "x" * 70_000, "n": number}) for number in range(3)]
    for number, ref in enumerate(refs):
        store.publish(ref, f"name-{number}")
    store.put_object("bucket", refs[1].key, b'{"$artifact": "lucas://no')
    store.delete_object("bucket", refs[2].key)
    done = collect(store, **LIMITS, now=clock.now, delete=True)

    assert done.problems == (refs[1].key,)
