"""Records are encoded once, and sent by the texts of their values; what is sent is the same as value by value."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage.refs import inline_ref, is_tagged
from lucas_storage.values import wire_form
from lucas_storage.values.storing import sent_data
from lucas_storage.values.storing.policy import Fixed, Policy

names = st.text(max_size=8) | st.sampled_from(["$date", "$artifact", "\ud800"])
lacking = st.one_of(
    st.dates(), st.datetimes(), st.times(), st.timedeltas(), st.decimals(), st.uuids(), st.complex_numbers()
)
others = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.binary(max_size=30))
scalars = lacking | others | st.integers(-5, 5).map(np.int16)
containers = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
        | st.dictionaries(st.integers(0, 3), inner, max_size=2)
        | st.sets(st.dates(), max_size=2)
    ),
    max_leaves=8,
)


def within(inline_max):
    return Fixed(Policy(inline_max=inline_max))


LARGE = within(1 << 20)


@given(st.dictionaries(names, containers, min_size=1, max_size=12))
def test_a_record_is_sent_as_it_is_value_by_value(value):
    sent = sent_data.by_fields(value, LARGE, may_refer=False)
    found = wire_form.whole(value)

    # By its text, since NaN does not equal itself.
    assert sent is None or repr(sent) == repr(sent_data.sent(value, *found, LARGE))


@pytest.mark.parametrize(
    "item",
    [
        date.min,
        datetime.min.replace(tzinfo=UTC),
        time.min,
        timedelta(1),
        Decimal("1.50"),
        UUID(int=7),
        1 + 2j,
        PurePosixPath("a"),
        float("nan"),
        np.int64(1),
        {1},
        [date.min],
        {"a": date.min},
    ],
    ids=lambda item: type(item).__name__,
)
def test_each_value_of_a_record_travels_by_itself(item):
    sent = sent_data.by_fields({"of": item, "name": "x", "part": 0.5, "raw": b"y"}, LARGE, may_refer=False)

    assert list(sent) == ["of", "name", "part", "raw"]
    assert is_tagged(sent["of"])
    assert is_tagged(sent["raw"])
    assert (sent["name"], sent["part"]) == ("x", 0.5)


@pytest.mark.parametrize(
    "value",
    [{"at": date.min, 1: 2}, {"at": object()}, {"$date": date.min}, {"at": date.min, "\ud800": 1}, {}, [date.min]],
    ids=["another key", "an object", "the look of a tag", "no text", "nothing", "no dict"],
)
def test_what_is_no_record_is_sent_in_another_way(value):
    assert sent_data.by_fields(value, LARGE, may_refer=False) is None


def test_what_may_refer_is_looked_at_more_closely():
    value = {"at": date.min, "of": [inline_ref("json@1", b"1")]}

    assert sent_data.by_fields(value, LARGE, may_refer=False) is None
    assert sent_data.by_fields(value, LARGE, may_refer=True)["of"] == [inline_ref("json@1", b"1").to_json()]
