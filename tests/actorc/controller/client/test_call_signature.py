"""What a call gives is fitted to what the function takes before anything is sent."""

from __future__ import annotations

import pytest

from actorc.controller.client.functions.signature import Signature
from actorc.controller.errors import ParameterError


def of(function):
    return Signature.of(function, "f")


def test_defaults_are_filled_in_and_the_order_is_the_functions():
    assert list(of(lambda a, b=2, *, c=3: ...).completed({"c": 4, "a": 1}).items()) == [("a", 1), ("b", 2), ("c", 4)]


def test_none_is_given_too():
    assert of(lambda a=1: ...).completed({"a": None}) == {"a": None}


def test_missing_and_surplus_parameters_are_named_with_what_was_probably_meant():
    with pytest.raises(ParameterError) as caught:
        of(lambda table, rows: ...).completed({"tabel": 1})

    assert str(caught.value) == (
        "'f' did not get 'table', 'rows' and got 'tabel', which it does not take; it takes 'table', 'rows'; "
        "did you mean 'table' by 'tabel'?"
    )
    assert caught.value.function == "f"
    assert isinstance(caught.value, TypeError)


def test_a_function_without_parameters_says_so():
    with pytest.raises(ParameterError, match="'f' got 'x', which it does not take; it takes nothing"):
        of(lambda: ...).completed({"x": 1})


def test_a_runtime_is_not_passed():
    with pytest.raises(ParameterError, match="the actor platform passes no runtime"):
        of(lambda rt: ...).completed({"x": 1})


@pytest.mark.parametrize(
    ("function", "shown"),
    [(lambda *rest: ..., r"\*rest"), (lambda **rest: ..., r"\*\*rest"), (lambda a, /: ..., "'a' by position only")],
)
def test_parameters_without_a_name_of_their_own_are_refused(function, shown):
    with pytest.raises(ParameterError, match=f"'f' takes {shown}, and the platform passes every parameter by its name"):
        of(function)


@pytest.mark.parametrize(
    ("function", "given", "expected"),
    [
        (lambda params: ..., ["a", "b"], True),
        (lambda params: ..., [], True),
        (lambda params: ..., ["params", "b"], True),
        (lambda params: ..., ["params"], False),
        (lambda event: ..., ["a"], False),
        (lambda params, more: ..., ["a"], False),
    ],
)
def test_one_parameter_called_params_takes_everything(function, given, expected):
    assert of(function).bundles(given) is expected
