"""Small data travels as it is without being encoded: by the same rules as data that is, and as a copy."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage import with_storage
from lucas_storage.formats import encode_data
from lucas_storage.refs import ArtifactRef
from lucas_storage.values import wire_form
from lucas_storage.values.annotations.annotation import ANY
from lucas_storage.values.loading.incoming import value_of
from lucas_storage.values.own_copy import small_copy
from lucas_storage.values.storing import outgoing
from lucas_storage.values.storing.policy import Fixed, Policy
from tests.lucas_storage.values.nested_values import form, leaves

MOST = 64 << 10
exact = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
containers = st.recursive(
    leaves | exact,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from(["$tuple", "$", "a"]) | st.integers(), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(containers.filter(lambda value: type(value) in (list, tuple, dict)))
def test_what_is_copied_is_what_engines_would_carry_after_encoding(value):
    copy = small_copy(value, MOST)

    if copy is not None:
        fmt, encoded = encode_data(value)
        assert wire_form.is_plain(fmt, encoded)
        assert form(copy) == form(value)


@given(st.lists(st.text(max_size=5) | st.integers() | st.floats() | st.booleans() | st.none(), max_size=60))
def test_what_is_copied_is_never_longer_than_the_limit(items):
    _, encoded = encode_data(items)
    assert small_copy(items, encoded.size - 1) is None


@pytest.mark.parametrize(
    "value",
    [
        [float("nan")],
        [10**30],
        [{1, 2}],
        [b"bytes"],
        [bytearray(b"bytes")],
        {1: "one"},
        {"a": "\ud800"},
        {"$tuple": [1]},
        [{"$artifact": "lucas://default/bucket/k?n=1&f=json%401"}],
        [type("Listed", (list,), {})()],
        [type("Text", (str,), {})("text")],
        list(range(2000)),
    ],
    ids=repr,
)
def test_what_has_to_be_looked_at_more_closely_is_refused(value):
    assert small_copy(value, MOST) is None


def test_a_dollar_within_texts_and_numbers_is_data():
    value = {"cost": "$5", "in $": [36, 0x2424], "nested": {"a$": 1.5}}

    assert small_copy(value, MOST) == value


def test_data_is_refused_when_it_is_too_deep_or_contains_itself():
    within: list = []
    within.append(within)
    deep: list = []
    for _ in range(100):
        deep = [deep]

    assert small_copy(within, MOST) is None
    assert small_copy(deep, MOST) is None
    assert small_copy(deep[0], MOST) == deep[0]


def test_no_container_of_a_result_is_the_functions_own():
    shared = [1, 2]
    value = {"flat": shared, "again": shared, "pair": (shared, {"x": shared})}

    out = outgoing.result(value, ANY, Fixed(Policy(inline_max=MOST)), "step")
    out["flat"].append(3)

    assert value == {"flat": [1, 2], "again": [1, 2], "pair": ([1, 2], {"x": [1, 2]})}
    assert out == {"flat": [1, 2, 3], "again": [1, 2], "pair": ([1, 2], {"x": [1, 2]})}


def test_a_reference_in_data_stays_one():
    ref = ArtifactRef.parse({"$artifact": "lucas://default/bucket/k?n=1&f=json%401"})

    out = outgoing.result([1, ref], ANY, Fixed(Policy(inline_max=MOST)), "step")

    assert out == [1, ref.to_json()]


@pytest.mark.parametrize("value", [date(2026, 1, 1), math.nan, Decimal("1.5"), {1, 2, 3}, {"at": date(2026, 1, 1)}])
def test_a_small_result_with_a_tag_asks_for_no_setting_but_the_limit(monkeypatch, value):
    monkeypatch.setenv("STORAGE_ENDPOINT", "no endpoint at all")
    monkeypatch.setenv("LUCAS_STORAGE_PICKLE", "neither")
    step = with_storage(lambda value: value)

    assert form(value_of(step(value=value))) == form(value)


DAYS = {str(number): date(2026, 1, 1 + number) for number in range(20)}


def test_values_of_a_dict_that_json_lacks_have_a_reference_each_and_the_others_are_as_they_were():
    sent = outgoing.result({**DAYS, "n": 1, "t": (1, "a"), "x": float("nan")}, ANY, Fixed(Policy(inline_max=MOST)), "f")

    assert list(sent) == [*DAYS, "n", "t", "x"]
    assert (sent["n"], sent["t"]) == (1, (1, "a"))
    refs = {name: ArtifactRef.parse(sent[name]) for name in DAYS}
    assert {ref.format for ref in refs.values()} == {"json@2"}
    assert value_of(refs) == DAYS
    assert ArtifactRef.parse(sent["x"]).format == "json@1"
    assert math.isnan(value_of(sent)["x"])
