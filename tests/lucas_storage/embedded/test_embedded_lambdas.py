"""`Lambda`: what may be done with a value that is yet to come."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from lucas_storage.embedded import Lambda, Workflow, workflow

if TYPE_CHECKING:
    from collections.abc import Callable


def run(body: Callable[[Workflow], Any], **data: Any) -> Any:
    """Run `body` as a workflow, once."""
    return workflow(body).export()(data)


def test_plus_and_brackets_work_on_the_value() -> None:
    def body(wf: Workflow) -> Any:
        given = wf.input()
        total = wf.func(lambda a, b, c=0: a + b + c, given["x"], 10, c=given["y"])
        return wf.func(lambda d: {"k": [d, d * 2]}, total + 5)["k"][given["x"]]

    assert run(body, x=1, y=100) == 232


def test_an_input_needs_no_catch_but_may_have_one() -> None:
    assert run(lambda wf: wf.input()["n"] + 1, n=1) == 2
    assert run(lambda wf: wf.catch(wf.input()["n"]) + wf.input()["n"], n=1) == 2


def test_map_applies_a_function_to_every_element() -> None:
    assert run(lambda wf: wf.input()["xs"].map(lambda x: x * x), xs=[1, 2, 3]) == [1, 4, 9]
    assert run(lambda wf: wf.input()["xs"].map(lambda x: x), xs=[]) == []


def test_map_applies_a_function_to_a_value_that_is_no_list() -> None:
    assert run(lambda wf: wf.input()["x"].map(lambda x: x * x), x=3) == 9


def test_map_can_be_followed_by_map() -> None:
    assert run(lambda wf: wf.input()["xs"].map(lambda x: x + 1).map(lambda x: x * 10), xs=[1, 2]) == [20, 30]


@pytest.mark.parametrize(
    ("count", "pieces"),
    [
        (1, [[0, 1, 2, 3, 4]]),
        (2, [[0, 1, 2], [3, 4]]),
        (5, [[0], [1], [2], [3], [4]]),
        (6, [[0], [1], [2], [3], [4], []]),
    ],
)
def test_fork_cuts_into_as_many_pieces_as_asked_for(count: int, pieces: list[list[int]]) -> None:
    assert run(lambda wf: wf.input()["xs"].fork(count), xs=[0, 1, 2, 3, 4]) == pieces


def test_fork_refuses_to_cut_into_no_pieces() -> None:
    with pytest.raises(ValueError, match="a positive number of pieces, not 0"):
        run(lambda wf: wf.input()["xs"].fork(0), xs=[1])


def test_join_gives_a_function_the_chained_pieces() -> None:
    assert run(lambda wf: wf.input()["xs"].fork(2).join(sum), xs=[1, 2, 3]) == 6


@pytest.mark.parametrize(
    "misuse", [bool, list, lambda value: 1 in value, lambda value: 1 if value else 2, lambda value: (*value,)]
)
def test_what_would_act_on_the_place_is_refused(misuse: Callable[[Lambda], Any]) -> None:
    with pytest.raises(TypeError, match="when the workflow runs"):
        workflow(lambda wf: misuse(wf.input()["x"]))


def test_an_attribute_is_refused_with_the_way_to_read_it() -> None:
    value = Lambda()

    assert not hasattr(value, "upper")
    assert not hasattr(value, "__array__")
    with pytest.raises(AttributeError, match=r"as in wf\.func\(lambda value: value\.upper"):
        value.upper  # noqa: B018


def test_looking_at_a_value_to_come_plants_nothing() -> None:
    def body(wf: Workflow) -> Any:
        value = wf.input()["x"]
        before = len(wf.dag.nodes)
        same: object = 3
        assert (hasattr(value, "x"), value == same) == (False, False)
        repr(value)
        copy.copy(value)
        assert len(wf.dag.nodes) == before
        return value

    assert run(body, x=3) == 3


def test_a_lambda_does_not_show_its_value() -> None:
    assert "secret" not in f"{Lambda('secret')} {Lambda('secret')!r}"


def test_operators_need_a_workflow_to_work_in() -> None:
    with pytest.raises(RuntimeError, match=r"pass the value to wf\.catch first"):
        Lambda(1) + 1


def test_a_lambda_of_ones_own_is_a_constant() -> None:
    assert run(lambda wf: wf.func(lambda value: value, Lambda(None))) is None
    assert run(lambda wf: wf.func(lambda: Lambda([1]))) == [1]
