from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from lucas_storage.engine.nested_values import found_in, replaced


class Pair(NamedTuple):
    left: Any
    right: Any


class Mark:
    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return True  # as that of a value that is not known yet

    __hash__ = None


A, B = Mark("a"), Mark("b")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (A, [A]),
        (1, []),
        ([A, {"k": (1, B)}], [A, B]),
        ({"k": [A], "l": A}, [A]),
        ([A, [A, B], B], [A, B]),
        (Pair(A, B), []),
        ({1: "text", "Mark": {2, 3}}, []),
    ],
)
def test_values_in_lists_tuples_and_dicts_are_found_once_each(value, found):
    assert sorted(each.name for each in found_in(value, Mark)) == [each.name for each in found]


def test_a_container_that_holds_itself_is_searched_once():
    circle = [A]
    circle.append(circle)

    assert [each.name for each in found_in(circle, Mark)] == ["a"]


def test_values_are_replaced_and_the_rest_stays():
    kept = {"deep": [1, (2, 3)]}
    new = replaced([A, kept, {"k": (B, 1)}], Mark, lambda mark: mark.name)

    assert new == ["a", {"deep": [1, (2, 3)]}, {"k": ("b", 1)}]
    assert new[1] is kept
