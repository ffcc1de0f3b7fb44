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

    assert fetched(runs, runs.take()) == list(range(10))
    assert runs.take() is None


def test_a_second_stream_gets_the_second_half_of_what_is_left():
    runs = StepRuns(range(10), lambda: 2)
    first = runs.take()
    begun = fetched(runs, first, 2)
    second = runs.take()

    assert (begun, fetched(runs, second), fetched(runs, first)) == ([0, 1], [6, 7, 8, 9], [2, 3, 4, 5])


def test_what_is_missing_in_several_places_is_fetched_by_a_stream_for_each():
    runs = StepRuns([0, 4, 5, 6, 9], lambda: 1)

    assert [fetched(runs, runs.take()) for _ in range(3)] == [[4, 5, 6], [0], [9]]


def test_a_step_that_is_about_to_be_fetched_is_not_taken_away():
    runs = StepRuns(range(2), lambda: 2)
    first = runs.take()

    assert fetched(runs, first, 1) == [0]
    assert runs.take() is None


def test_a_stream_too_many_ends_and_leaves_its_steps_to_the_others():
    most = 2
    runs = StepRuns(range(10), lambda: most)
    first, second = runs.take(), runs.take()
    begun = fetched(runs, second, 1)
    most = 1

    assert begun == [5]
    assert fetched(runs, second) == []
    assert fetched(runs, first) == [0, 1, 2, 3, 4]
    assert fetched(runs, runs.take()) == [6, 7, 8, 9]


@pytest.mark.parametrize("seed", range(20))
def test_every_step_is_fetched_once_however_the_streams_take_turns(seed):
    chance = random.Random(seed)
    missing = [step for step in range(200) if chance.random() < 0.8]
    most = [1]
    runs = StepRuns(missing, lambda: most[0])
    streams, steps = [runs.take()], []
    while streams:
        most[0] = chance.choice([1, 2, 4, 8])
        if len(streams) < most[0] and (run := runs.take()):
            streams.append(run)
        turn = chance.choice(streams)
        step = runs.begin(turn)
        if step is None:
            streams.remove(turn)
            streams += [run] if not streams and (run := runs.take()) else []
        else:
            steps.append(step)

    assert sorted(steps) == missing
