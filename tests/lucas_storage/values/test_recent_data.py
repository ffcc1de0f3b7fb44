"""Plain data of a run, kept in memory for the steps that read it next."""

from __future__ import annotations

import threading

import pytest

from lucas_storage import ArtifactRef, Storage, StorageExecutor, run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.formats.json_data.plain_data import copied
from lucas_storage.refs import digest_of
from lucas_storage.values.recent_data import RecentData

pytestmark = pytest.mark.usefixtures("settings", "empty_registry")

NUMBERS = [1000.5 + number for number in range(20_000)]


def ref_of(text, size=None):
    data = text.encode()
    return ArtifactRef(
        bucket="bucket", key=text, digest=digest_of((data,)), size=len(data) if size is None else size, format="json@1"
    )


def flow(made, *, reads=1, **options):
    seen = []

    @function(name="make")
    @with_storage
    def make():
        return made

    @function(name="read")
    @with_storage
    def read(data, turn):
        seen.append(data)
        copy = list(data)
        data.append(turn)
        return copy

    @workflow(**options)
    def steps(wf):
        data = wf.call("make", {})
        for turn in range(reads):
            data = wf.call("read", {"data": data, "turn": turn})
        return data

    return steps, seen


@pytest.mark.parametrize("way", ["run", "executor"])
def test_a_step_is_given_a_copy_of_what_the_step_before_returned_and_nothing_is_decoded(way):
    steps, seen = flow(NUMBERS, reads=2, **({"executor": StorageExecutor} if way == "executor" else {}))

    result = run(steps) if way == "run" else steps.export()({})

    assert len(seen) == 2
    # The same floats, which decoding would have made anew, in lists that belong to their steps.
    assert all(data[0] is NUMBERS[0] for data in seen)
    assert [len(data) for data in (*seen, result, NUMBERS)] == [20_001, 20_001, 20_000, 20_000]


def test_nothing_is_kept_when_a_run_has_ended():
    steps, _ = flow(NUMBERS)
    ref = run(steps, materialize=False)

    value = Storage().get(ref)

    assert value == NUMBERS
    assert value[0] is not NUMBERS[0]


def test_data_with_tags_is_decoded():
    steps, seen = flow([*NUMBERS, {1.5: 2}])

    run(steps)

    assert seen[0][:-1] == [*NUMBERS, {1.5: 2}]
    assert seen[0][0] is not NUMBERS[0]


def test_what_was_used_least_lately_makes_room():
    recent = RecentData(most=100)
    refs = [ref_of(f"[{number}]", size=40) for number in range(3)]
    for number, ref in enumerate(refs[:2]):
        recent.keep(ref, [number], copied)
    recent.copy_of(refs[0])
    recent.keep(refs[2], [2], copied)
    recent.keep(refs[2], [2], copied)

    assert [recent.copy_of(ref) for ref in refs] == [[0], None, [2]]


def test_data_larger_than_the_room_is_not_kept():
    recent = RecentData(most=100)
    recent.keep(ref_of("[1]"), [1], copied)
    recent.keep(ref_of("[2]", size=101), [2], copied)

    assert [recent.copy_of(ref_of("[1]")), recent.copy_of(ref_of("[2]"))] == [[1], None]


def test_a_run_that_ended_keeps_nothing_for_threads_that_outlive_it():
    recent = RecentData()
    recent.keep(ref_of("[1]"), [1], copied)
    recent.clear()
    recent.keep(ref_of("[2]"), [2], copied)

    assert [recent.copy_of(ref_of("[1]")), recent.copy_of(ref_of("[2]"))] == [None, None]


def test_threads_keep_and_copy_at_the_same_time():
    recent = RecentData(most=50)
    refs = [ref_of(f"[{number}]", size=10) for number in range(20)]
    wrong = []

    def use(first):
        for turn in range(200):
            number = (first + turn) % 20
            recent.keep(refs[number], [number], copied)
            found = recent.copy_of(refs[number])
            if found not in ([number], None):
                wrong.append(found)

    threads = [threading.Thread(target=use, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
