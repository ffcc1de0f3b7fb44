"""Which step of one run is which of another, however the graph changed between them."""

from __future__ import annotations

import random

import pytest

from lucas_storage.lineage.step_matching import matched
from lucas_storage.records.past_run import Mention, PastRun, PastStep
from lucas_storage.refs import ArtifactRef


def artifact(name):
    digest = f"sha256:{abs(hash(name)):064x}"[:71]
    return Mention("json@1", 5, ArtifactRef(bucket="a-bucket", key="k", size=5, format="json@1", digest=digest))


def step(key, function, after=(), inputs=(), outputs=(), started=0.0, **more):
    return PastStep(
        key=key,
        after=tuple(after),
        function=function,
        started=started,
        seconds=1.0,
        reused=False,
        error=None,
        inputs={f"p{at}": (artifact(each),) for at, each in enumerate(inputs)},
        outputs=tuple(map(artifact, outputs)),
        **more,
    )


def run(*steps, **more):
    return PastRun(
        **{
            "key": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "workflow": "study",
            "status": "succeeded",
            "started": 1.0,
            "seconds": 1.0,
            "error": None,
            "parallel": 1,
            "inputs": {},
            "outputs": (),
            "after": (),
            **more,
            "steps": tuple(steps),
        }
    )


def pairs(before, after):
    return {(one.key if one else None, another.key if another else None) for one, another in matched(before, after)}


def test_steps_are_paired_by_function_and_place():
    before = run(step("a", "load"), step("b", "clean", ["a"]), step("c", "plot", ["b"]))
    after = run(step("x", "load"), step("y", "clean", ["x"]), step("z", "plot", ["y"]))

    assert pairs(before, after) == {("a", "x"), ("b", "y"), ("c", "z")}


def test_mapped_steps_are_paired_by_their_inputs_in_whatever_order_they_ran():
    shuffled = random.Random(1).sample(range(500), 500)
    before = run(*(step(f"a{at}", "score", inputs=[at], started=at) for at in range(500)))
    after = run(*(step(f"b{at}", "score", inputs=[at], started=place) for place, at in enumerate(shuffled)))

    assert pairs(before, after) == {(f"a{at}", f"b{at}") for at in range(500)}


def test_of_mapped_steps_one_that_was_added_or_removed_is_alone():
    before = run(*(step(f"a{at}", "score", inputs=[at], started=at) for at in range(500)))
    after = run(*(step(f"b{at}", "score", inputs=[at], started=at) for at in range(1, 502)))

    found = pairs(before, after)

    # The one that is gone, and one of the two that are new, are taken for one with other inputs.
    assert len([pair for pair in found if None in pair]) == 1
    assert {(f"a{at}", f"b{at}") for at in range(1, 500)} <= found


def test_steps_behind_mapped_ones_are_paired_with_those_behind_the_same():
    def fan(letter, order):
        makers = [step(f"{letter}m{at}", "make", inputs=[at], outputs=[f"{letter}{at}"], started=at) for at in order]
        takers = [
            step(f"{letter}t{at}", "take", [f"{letter}m{at}"], [f"{letter}{at}"], started=1000 - at) for at in order
        ]
        return run(*makers, *takers)

    found = pairs(fan("a", range(100)), fan("b", range(99, -1, -1)))

    assert {(f"at{at}", f"bt{at}") for at in range(100)} <= found


def test_a_step_that_was_put_between_two_others_is_alone():
    before = run(step("a", "load"), step("c", "plot", ["a"]))
    after = run(step("x", "load"), step("y", "clean", ["x"]), step("z", "plot", ["y"]))

    assert pairs(before, after) == {("a", "x"), (None, "y"), ("c", "z")}
    assert pairs(after, before) == {("x", "a"), ("y", None), ("z", "c")}


def test_a_step_that_has_another_name_is_paired_by_its_neighbours():
    before = run(step("a", "load"), step("b", "clean", ["a"]), step("c", "plot", ["b"]))
    after = run(step("x", "load"), step("y", "tidy", ["x"]), step("z", "plot", ["y"]))

    assert pairs(before, after) == {("a", "x"), ("b", "y"), ("c", "z")}


def test_two_functions_of_one_name_are_paired_in_their_order():
    before = run(step("a", "load"), step("b", "load", started=1.0), step("c", "join", ["a", "b"]))
    after = run(step("x", "load"), step("y", "load", started=1.0), step("z", "join", ["x", "y"]))

    assert pairs(before, after) == {("a", "x"), ("b", "y"), ("c", "z")}


def test_records_of_early_versions_without_keys_are_paired():
    before = run(step("", "load", outputs=["t"]), step("", "plot", inputs=["t"], started=1.0))
    found = matched(before, before)

    assert [(one.function, another.function) for one, another in found] == [("load", "load"), ("plot", "plot")]


@pytest.mark.parametrize("after", [["a"], ["b"], ["a", "b", "gone"], ["b"] * 1000])
def test_circles_and_keys_that_name_nothing_are_no_failure(after):
    strange = run(step("a", "f", after), step("b", "f", ["a"]), step("a", "f", ["a"]))

    assert len(matched(strange, strange)) == 3


def test_very_many_steps_are_paired_by_few_comparisons():
    before, after = (
        run(*(step(f"{letter}{at}", f"f{at % 3}", [f"{letter}{at - 1}"], started=at) for at in range(3000)))
        for letter in "ab"
    )

    assert pairs(before, after) == {(f"a{at}", f"b{at}") for at in range(3000)}
