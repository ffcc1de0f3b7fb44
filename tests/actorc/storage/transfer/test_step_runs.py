"""Which stream of a download fetches which steps."""

from __future__ import annotations

import random

import pytest

from actorc.storage._transfer.step_runs import StepRuns


def fetched(runs, run, most=1 << 30):
    steps = []
    while len(steps) < most and (step := runs.begin(run)) is not None:
        steps.append(step)
    return steps


def test_a_single_stream_fetches_all_in_order():
    runs = StepRuns(range(10), lambda: 1)

    [run] = runs.take(1)

    assert fetched(runs, run) == list(range(10))
    assert runs.take(1) == []


def test_a_second_stream_gets_the_second_half_of_what_is_left():
    runs = StepRuns(range(10), lambda: 2)
    [first] = runs.take(1)
    begun = fetched(runs, first, 2)
    [second] = runs.take(1)

    assert (begun, fetched(runs, second), fetched(runs, first)) == ([0, 1], [6, 7, 8, 9], [2, 3, 4, 5])


def test_what_is_missing_in_several_places_is_fetched_by_a_stream_for_each():
    runs = StepRuns([0, 4, 5, 6, 9], lambda: 1)

    assert [fetched(runs, run) for _ in range(3) for run in runs.take(1)] == [[4, 5, 6], [0], [9]]


def test_a_step_that_is_about_to_be_fetched_is_not_taken_away():
    runs = StepRuns(range(2), lambda: 2)
    [first] = runs.take(1)

    assert fetched(runs, first, 1) == [0]
    assert runs.take(1) == []


def test_streams_that_begin_together_get_equal_parts_of_what_is_left():
    runs = StepRuns(range(61), lambda: 6)
    [first] = runs.take(1)
    begun = fetched(runs, first, 1)
    others = runs.take(5)

    assert begun == [0]
    assert [[run.next, run.stop] for run in (first, *others)] == [
        [1, 11],
        [11, 21],
        [21, 31],
        [31, 41],
        [41, 51],
        [51, 61],
    ]


def test_the_longest_runs_are_cut_for_streams_that_begin_together():
    runs = StepRuns([*range(30), *range(40, 43), 50], lambda: 5)
    first, second, third = runs.take(3)
    others = runs.take(2)

    assert [run.left for run in (first, second, third, *others)] == [10, 3, 1, 10, 10]
    assert runs.take(0) == []


def test_no_more_runs_are_given_than_there_are_steps():
    runs = StepRuns(range(3), lambda: 8)

    assert sorted(map(fetched, [runs] * 8, runs.take(8))) == [[0], [1], [2]]


def test_a_stream_too_many_ends_and_leaves_its_steps_to_the_others():
    most = 2
    runs = StepRuns(range(10), lambda: most)
    first, second = runs.take(2)
    begun = fetched(runs, second, 1)
    most = 1

    assert begun == [5]
    assert fetched(runs, second) == []
    assert fetched(runs, first) == [0, 1, 2, 3, 4]
    assert fetched(runs, *runs.take(1)) == [6, 7, 8, 9]


@pytest.mark.parametrize("seed", range(20))
def test_every_step_is_fetched_once_however_the_streams_take_turns(seed):
    chance = random.Random(seed)
    missing = [step for step in range(200) if chance.random() < 0.8]
    most = [1]
    runs = StepRuns(missing, lambda: most[0])
    streams, steps = runs.take(1), []
    while streams:
        most[0] = chance.choice([1, 2, 4, 8])
        streams += runs.take(max(0, most[0] - len(streams)))
        turn = chance.choice(streams)
        step = runs.begin(turn)
        if step is None:
            streams.remove(turn)
            streams += [] if streams else runs.take(1)
        else:
            steps.append(step)

    assert sorted(steps) == missing
