"""Collections beside runs that are given old artifacts to which nothing refers, whichever of the two is first."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import count

import pytest

from actorc.storage.errors import NotFoundError
from lucas_storage import Storage, current, run, storage_context, with_storage
from lucas_storage.embedded import Workflow, function, workflow
from lucas_storage.errors import ArtifactNotFoundError
from lucas_storage.gc.collect import collect
from lucas_storage.reach.renewal import renew_taken
from lucas_storage.records.ulid import first_at
from lucas_storage.refs import ArtifactRef

DAY = 86_400.0
GRACE = 2 * DAY
TTL = 30 * DAY


@pytest.fixture
def aged(store, clock, tmp_path):
    """Settings of another process, for which everything in the store is old, and unreferenced."""
    names = count()

    def given(**more):
        clock.now = time.time()
        return {
            "endpoint": store.endpoint,
            "bucket": "bucket",
            "cache_dir": tmp_path / f"other-{next(names)}",
            "signing_key": "0123456789abcdef",
            **more,
        }

    return given


class Interrupted(Storage):
    """A handle whose first removal of an artifact is preceded by something else."""

    def delete_object(self, bucket, key, **options):
        act, self.act = self.act, lambda: None
        act()
        return super().delete_object(bucket, key, **options)


def collected(store, clock):
    return collect(store, grace=GRACE, ttl=TTL, now=clock.now, delete=True)


def chained(made=lambda _ref: None):
    """A workflow whose second step needs what the run began with, and in between `made` happens."""

    @function
    @with_storage
    def first(data: ArtifactRef) -> ArtifactRef:
        made(data)
        return data

    @function
    @with_storage
    def second(data: bytes, again: ArtifactRef) -> int:
        return len(data)

    @workflow
    def chain(wf: Workflow):
        given = wf.input()["data"]
        return wf.call("second", {"data": given, "again": wf.call("first", {"data": given})})

    return chain


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_what_a_run_begins_with_is_not_removed_before_its_last_step(store, clock, aged, size):
    ref = store.put(b"x" * size)
    with storage_context(**aged()):
        collected(store, clock)

        def collect_twice(_ref):
            collected(store, clock), collected(store, clock)

        assert run(chained(collect_twice), {"data": ref}) == size


def test_a_run_that_begins_while_a_collection_removes_keeps_what_it_is_given(store, clock, aged):
    ref = store.put(b"x" * 1000)
    with storage_context(**aged()):
        collected(store, clock)
        with Interrupted() as collecting:
            results = []
            collecting.act = lambda: results.append(run(chained(), {"data": ref}))
            removed = collected(collecting, clock).removed.objects

        assert (results, removed) == ([1000], 0)
        assert store.get(ref) == b"x" * 1000


def test_a_reference_that_stands_in_the_workflow_is_kept_as_well(store, clock, aged):
    ref = store.put(b"x" * 1000)

    @function
    @with_storage
    def size(data: ArtifactRef) -> int:
        collected(store, clock), collected(store, clock)
        return len(store.get(data))

    @workflow
    def literal(wf: Workflow):
        return wf.call("size", {"data": ref})

    with storage_context(**aged()):
        collected(store, clock)

        assert run(literal) == 1000


def test_what_a_step_outside_of_any_run_is_given_is_not_removed_while_it_works(store, clock, aged):
    inner = store.put(b"x" * 1000)
    ref = store.put({"parts": [inner], "text": "long " * 2000})

    @with_storage
    def size(data: ArtifactRef) -> int:
        collected(store, clock), collected(store, clock)
        return len(store.get(data)["parts"][0])

    with storage_context(**aged()):
        collected(store, clock)

        assert size(data=ref.to_json()) == 1000
        assert size(data=ref.to_json()) == 1000


def test_a_step_outside_of_any_run_asks_nothing_of_what_a_run_stored_lately(store, aged, monkeypatch):
    with current.run(first_at(time.time() - 0.1 * DAY)):
        ref = store.put(b"x" * 1000)

    @with_storage
    def passed_on(data: ArtifactRef) -> ArtifactRef:
        return data

    with storage_context(**aged()):
        asked = asking(monkeypatch)
        passed_on(data=ref.to_json())

    assert asked == []


def test_what_an_old_artifact_refers_to_is_kept_with_it(store, clock, aged):
    inner = store.put(b"x" * 1000)
    outer = store.put({"parts": [inner], "text": "long " * 2000})

    @function
    @with_storage
    def before(data: ArtifactRef) -> ArtifactRef:
        collected(store, clock), collected(store, clock)
        return data

    @function
    @with_storage
    def size_of_part(data: dict) -> int:
        return len(store.get(inner))

    @workflow
    def nested(wf: Workflow):
        return wf.call("size_of_part", {"data": wf.call("before", {"data": wf.input()["data"]})})

    with storage_context(**aged()):
        collected(store, clock)

        assert run(nested, {"data": outer}) == 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_no_run_that_began_loses_what_it_was_given_however_its_steps_and_removals_alternate(store, clock, aged, seed):
    choices, kept = random.Random(seed), 0
    for _ in range(10):
        clock.now = time.time() - 10 * DAY
        refs = [store.put(choices.randbytes(choices.choice([3000, 5000, 2 << 20]))) for _ in range(6)]
        with storage_context(**aged()), Interrupted() as collecting:
            collected(store, clock)

            def begin(refs=refs, collecting=collecting):
                collecting.act = choices.choice([begin, lambda: None])
                ref = choices.choice(refs)
                if store.object_exists(ref.bucket, ref.key):
                    assert run(chained(lambda _: collected(store, clock)), {"data": ref}) == ref.size

            collecting.act = begin
            collected(collecting, clock), collected(collecting, clock)
            kept += sum(store.object_exists(ref.bucket, ref.key) for ref in refs)

    assert 10 <= kept < 60


@pytest.mark.slow
def test_runs_beside_collections_on_another_thread_lose_nothing_once_their_first_step_has_begun(store, clock, aged):
    over, began = threading.Event(), []

    def collect_on():
        while not over.is_set():
            collected(store, clock)

    def begin(ref):
        if store.object_exists(ref.bucket, ref.key):
            began.append(ref)

    clock.now = time.time() - 10 * DAY
    refs = [store.put(b"%d " % number + bytes(5000)) for number in range(24)]
    with storage_context(**aged()), ThreadPoolExecutor(4) as threads:
        collecting = threads.submit(collect_on)
        runs = [threads.submit(copy_context().run, run, chained(begin), {"data": ref}) for ref in refs]
        errors = [each.exception() for each in runs]
        over.set()
        collecting.result()

    for ref, error in zip(refs, errors, strict=True):
        assert error is None or (isinstance(error, NotFoundError) and ref not in began), repr(error)
    assert None in errors


def test_what_is_gone_is_told_by_the_step_that_needs_it(store, clock, aged):
    ref = store.put(b"x" * 1000)
    with storage_context(**aged()):
        collected(store, clock), collected(store, clock)

        with pytest.raises((ArtifactNotFoundError, NotFoundError), match="run the step that made it again"):
            run(chained(), {"data": ref})


def asking(monkeypatch):
    """Return a list of the objects that are looked at from now on."""
    asked, genuine = [], Storage.head_object

    def head_object(self, bucket, key, **options):
        asked.append(key)
        return genuine(self, bucket, key, **options)

    monkeypatch.setattr(Storage, "head_object", head_object)
    return asked


def test_what_a_run_stored_itself_is_not_looked_at_again(store, monkeypatch):
    @function
    @with_storage
    def make(n: int) -> bytes:
        return bytes(100_000 + n)

    @function
    @with_storage
    def use(data: bytes) -> int:
        return len(data)

    @workflow
    def pair(wf: Workflow):
        return wf.call("use", {"data": wf.call("make", {"n": 1})})

    asked = asking(monkeypatch)

    assert run(pair) == 100_001
    assert asked == []


@pytest.mark.parametrize(("days", "looks"), [(0.1, 0), (0.6, 1)])
def test_a_worker_asks_nothing_of_what_its_run_stored_lately(store, aged, monkeypatch, days, looks):
    began = first_at(time.time() - days * DAY)
    with current.run(began):
        ref = store.put(b"x" * 1000)
    with storage_context(**aged()), current.run(began):
        asked = asking(monkeypatch)
        renew_taken([ref])

    assert ref.run == began
    assert len(set(asked)) == looks
