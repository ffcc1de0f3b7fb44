"""The index of runs by artifact: written with the record of a run, and added for runs that have none."""

from __future__ import annotations

import time

import numpy as np
import pytest

from actorc.storage.errors import PermissionError
from lucas_storage import ArtifactRef, Storage, parallel, run, storage_context, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.records import record_store, run_history
from lucas_storage.records.index import run_index, run_indexing
from lucas_storage.records.index.run_index import digits_of
from lucas_storage.records.index.run_indexing import RunIndex
from lucas_storage.records.ulid import first_at, moment_of, reversed_order, ulid

pytestmark = pytest.mark.usefixtures("empty_registry")

DAY = 86_400.0


@pytest.fixture
def study():
    """Two steps: an array, and the same doubled."""

    @function
    @with_storage
    def make(n):
        return np.arange(n)

    @function
    @with_storage
    def double(x: np.ndarray):
        return x * 2

    @workflow
    def study(wf):
        return wf.call("double", {"x": wf.call("make", {"n": wf.input()["n"]})})

    return study


def lineage_keys(storage):
    return [head["key"] for head in storage.iter_objects(storage.bucket, "lineage/")]


def forget_index(storage):
    """Leave what an earlier version left."""
    storage.delete_objects(storage.bucket, lineage_keys(storage))


def calls_of(monkeypatch, *names):
    made = []
    for name in names:
        genuine = getattr(Storage, name)
        monkeypatch.setattr(
            Storage, name, lambda self, *a, _n=name, _g=genuine, **k: (made.append((_n, a)), _g(self, *a, **k))[1]
        )
    return made


def roles(entries):
    return [[(use.role, use.function.rpartition(".")[2]) for use in entry.steps] for entry in entries]


def test_a_run_writes_one_entry_for_each_artifact_and_a_mark(storage, study):
    doubled = run(study, {"n": 10_000}, materialize=False)
    past = run_history.find(storage, "last")
    (made,) = past.steps[0].outputs

    name = reversed_order(past.key)
    entries = [f"lineage/{digits_of(ref)}/made/{name}.json" for ref in (made.ref, doubled)]

    assert sorted(lineage_keys(storage)) == sorted([*entries, f"lineage/runs/{past.key}.json"])


def test_an_entry_names_the_steps_by_what_they_did(storage, study):
    doubled = run(study, {"n": 10_000}, materialize=False)
    past = run_history.find(storage, "last")
    (made,) = past.steps[0].outputs
    index = RunIndex(storage)
    (of_made,), (of_doubled,) = index.entries(digits_of(made.ref)), index.entries(digits_of(doubled))

    assert roles([of_made, of_doubled]) == [[("made", "make"), ("used", "double")], [("made", "double")]]
    assert (of_made.workflow, of_made.run, of_made.ref) == ("study", past.key, made.ref)
    assert (of_made.is_result, of_doubled.is_result, of_made.count) == (False, True, 2)


def test_a_step_that_passes_an_artifact_on_has_not_made_it(storage):
    @function
    @with_storage
    def passed(x):
        return x

    @workflow
    def flow(wf):
        return wf.call("passed", {"x": wf.input()["x"]})

    given = storage.put(np.arange(10_000))
    assert run(flow, {"x": given}, materialize=False) == given
    (entry,) = RunIndex(storage).entries(digits_of(given))

    assert (roles([entry]), entry.is_input, entry.is_result) == ([[("used", "passed")]], True, True)


def test_a_reused_result_is_not_made_again(storage, study):
    with_resume = {"n": 10_000}
    run(study, with_resume)

    with storage_context(resume=True):
        doubled = run(study, with_resume, materialize=False)
    entries = RunIndex(storage).entries(digits_of(doubled))

    assert roles(entries) == [[("reused", "double")], [("made", "double")]]
    assert entries[0].steps[0].memo == entries[1].steps[0].memo is not None


def test_runs_of_earlier_versions_are_indexed_at_first_use_and_once(storage, study, monkeypatch):
    doubled = run(study, {"n": 10_000}, materialize=False)
    written = RunIndex(storage).entries(digits_of(doubled))
    before = sorted(lineage_keys(storage))
    forget_index(storage)

    first = RunIndex(storage).entries(digits_of(doubled))
    calls = calls_of(monkeypatch, "put_objects", "get_objects")
    second = RunIndex(storage).entries(digits_of(doubled))

    assert first == second == written
    assert sorted(lineage_keys(storage)) == before
    assert calls == []


def test_indexing_that_was_cut_off_goes_on(storage, study):
    doubled = run(study, {"n": 10_000}, materialize=False)
    before = sorted(lineage_keys(storage))
    # Without the mark, which is written last, and one entry.
    storage.delete_objects(storage.bucket, [before[0], *(key for key in before if "/runs/" in key)])

    assert len(RunIndex(storage).entries(digits_of(doubled))) == 1
    assert sorted(lineage_keys(storage)) == before


def test_several_may_index_the_same_runs_at_the_same_time(storage, study):
    doubled = run(study, {"n": 10_000}, materialize=False)
    written = RunIndex(storage).entries(digits_of(doubled))
    before = sorted(lineage_keys(storage))
    forget_index(storage)
    found = parallel.each(lambda _: RunIndex(storage).entries(digits_of(doubled)), range(8))

    assert found == [written] * 8
    assert sorted(lineage_keys(storage)) == before


def test_a_key_that_may_only_read_gets_the_same_answer(storage, study, monkeypatch):
    doubled = run(study, {"n": 10_000}, materialize=False)
    written = RunIndex(storage).entries(digits_of(doubled))
    forget_index(storage)

    def refused(*_args, **_options):
        raise PermissionError("this key may only read")

    monkeypatch.setattr(Storage, "put_objects", refused)

    assert RunIndex(storage).entries(digits_of(doubled)) == written
    assert lineage_keys(storage) == []


def test_a_run_that_goes_on_is_known_and_not_yet_settled(storage):
    seen = []

    @function
    @with_storage
    def make(n):
        return np.arange(n)

    @function
    @with_storage
    def look(x: ArtifactRef):
        wait_for_step(storage)
        seen.extend(RunIndex(storage).entries(digits_of(x)))
        return 1

    @workflow
    def flow(wf):
        return wf.call("look", {"x": wf.call("make", {"n": wf.input()["n"]})})

    run(flow, {"n": 10_000})

    assert roles(seen)[0][0] == ("made", "make")


def wait_for_step(storage):
    while not any("/steps/" in head["key"] for head in storage.iter_objects(storage.bucket, "runs/")):
        pass


def test_a_run_that_was_killed_long_ago_is_settled(storage):
    key = first_at(time.time() - 3 * DAY)
    ref = storage.put(np.arange(10_000))
    record_store.write(storage, f"runs/{key}/run.json", {"run": 1, "workflow": "w", "status": "running"})
    step = {"step": 1, "key": ulid(), "function": "f", "out": [ref], "in": {}}
    record_store.write(storage, f"runs/{key}/steps/{step['key']}.json", step)

    (entry,) = RunIndex(storage).entries(digits_of(ref))

    assert (entry.run, roles([entry])) == (key, [[("made", "f")]])
    assert f"lineage/runs/{key}.json" in lineage_keys(storage)


def test_of_many_runs_only_the_new_ones_are_looked_at(storage, monkeypatch):
    monkeypatch.setattr(run_indexing, "_WORTH", 5)
    ref = storage.put(np.arange(10_000))
    now = time.time()
    for day in range(100, 90, -1):
        content = {"run": 1, "workflow": "w", "status": "succeeded", "in": {"x": [ref]}}
        record_store.write(storage, f"runs/{first_at(now - day * DAY)}/run.json", content)
    assert len(RunIndex(storage).entries(digits_of(ref))) == 10
    until = record_store.read(storage, run_index.INDEXED).content["until"]
    calls = calls_of(monkeypatch, "list_objects", "iter_objects", "get_objects")
    RunIndex(storage)

    assert abs(moment_of(until) - (now - 3600)) < 60
    assert calls
    assert {name for name, _ in calls} == {"list_objects", "iter_objects"}
    assert len(calls) <= 4
    assert all(len(args[1].rpartition("/")[2]) >= 4 for _, args in calls)


@pytest.mark.parametrize("days", [0, 0.2, 1, 5, 40, 400, 4000])
def test_the_beginnings_of_ids_cover_the_time_since_the_last_use(days):
    now = time.time()
    after = first_at(now - days * DAY)
    found = run_indexing._beginnings(after, now)

    assert len(found) <= 16
    for part in range(101):
        made = first_at(now - days * DAY * part / 100)
        assert any(made.startswith(beginning) for beginning in found)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"steps": 1, "uri": 2, "workflow": 3, "started": "x", "count": [], "input": 1},
        {
            "steps": [{"role": "made"}, {"role": "<b>", "function": "f"}, {"role": ["made"]}, 7],
            "uri": "lucas:inline?v=1",
        },
        {"steps": [{"role": "used", "step": "s" * 1000, "function": "f" * 1000, "memo": "../../x"}] * 20},
        {"started": 1e308, "count": 10**400},
    ],
)
def test_an_entry_of_a_stranger_does_no_harm(storage, content):
    digits = "0" * 64
    for name in (ulid(), "Z" * 26):
        record_store.write(storage, f"lineage/{digits}/used/{reversed_order(name)}.json", content)
    storage.put_object(storage.bucket, f"lineage/{digits}/used/{reversed_order(ulid())}.json", b"no JSON")
    storage.put_object(
        storage.bucket, f"lineage/{digits}/used/{reversed_order(ulid())}.json", b'{"a":"%b"}' % b"x" * 70_000
    )
    for name in ("other", f"used/{'I' * 26}.json", "used/x", f"owned/{ulid()}.json"):
        storage.put_object(storage.bucket, f"lineage/{digits}/{name}", b"{}")
    entries = RunIndex(storage).entries(digits)

    assert len(entries) == 2
    for entry in entries:
        assert entry.ref is None
        assert len(entry.steps) <= 5
        assert all(len(use.function) <= 80 and use.memo is None for use in entry.steps)


def test_of_many_steps_at_least_one_of_each_role_is_listed(storage):
    ref = storage.put(np.arange(10_000))
    steps = [{"function": f"make{number}", "out": [ref]} for number in range(9)]
    steps += [{"function": f"use{number}", "in": {"x": [ref]}} for number in range(3)]
    content = {"run": 1, "workflow": "w", "status": "succeeded", "steps": steps}
    record_store.write(storage, f"runs/{first_at(time.time() - 100)}/run.json", content)
    RunIndex(storage)
    (entry,) = RunIndex(storage).entries(digits_of(ref))

    assert [use.role for use in entry.steps] == ["made"] * 4 + ["used"]
    assert (entry.steps[0].function, entry.steps[-1].function, entry.count) == ("make0", "use0", 12)


def test_an_entry_of_another_artifact_names_none(storage):
    ref, other = storage.put(np.arange(10_000)), storage.put(np.arange(20_000))
    record_store.write(storage, f"lineage/{digits_of(ref)}/made/{reversed_order(ulid())}.json", {"uri": other.uri})

    assert [entry.ref for entry in RunIndex(storage).entries(digits_of(ref))] == [None]


def test_the_latest_runs_come_first_and_no_more_than_are_asked_for(storage):
    ref = storage.put(np.arange(10_000))
    now = time.time()
    for number in range(5):
        content = {"run": 1, "workflow": f"w{number}", "status": "succeeded", "in": {"x": [ref]}}
        record_store.write(storage, f"runs/{first_at(now - 100 + number)}/run.json", content)
    index = RunIndex(storage)

    assert [entry.workflow for entry in index.entries(digits_of(ref))] == ["w4", "w3", "w2", "w1", "w0"]
    assert [entry.workflow for entry in index.entries(digits_of(ref), "used", 2)] == ["w4", "w3"]
    assert index.entries(digits_of(ref), "made") == []
