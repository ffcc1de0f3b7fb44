"""Small records are sent by their values, without a look at the whole; what is sent is the same."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage.values import wire_form
from lucas_storage.values.storing import sent_data
from lucas_storage.values.storing.policy import Fixed, Policy

names = st.text(max_size=8) | st.sampled_from(["$date", "$artifact", "\ud800"])
lacking = st.one_of(
    st.dates(), st.datetimes(), st.times(), st.timedeltas(), st.decimals(), st.uuids(), st.complex_numbers()
)
others = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.binary(max_size=30))


def within(inline_max):
    return Fixed(Policy(inline_max=inline_max))


@given(st.dictionaries(names, lacking | others, max_size=40), st.sampled_from([0, 40, 400, 4000, 64 << 10]))
def test_a_record_is_sent_as_it_is_when_it_is_encoded_as_a_whole(value, inline_max):
    policy = within(inline_max)
    sent = sent_data.record(value, policy)

    # By its text, since NaN does not equal itself.
    assert sent is None or repr(sent) == repr(sent_data.sent(value, *wire_form.whole(value), policy))


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
    ],
    ids=lambda item: type(item).__name__,
)
def test_a_record_needs_no_text_of_the_whole(item):
    assert sent_data.record({"of": item, "name": "x", "part": 0.5, "raw": b"y"}, within(64 << 10)) is not None


@pytest.mark.parametrize(
    "value",
    [
        {"at": date.min, "of": [1]},
        {"at": date.min, 1: 2},
        {"name": "x"},
        {"at": date.min, "$artifact": "lucas:inline?f=json@1&v=MQ"},
        {f"n{n}": date.min for n in range(40)},
        {"at": date.min, "text": "x" * 4096},
    ],
    ids=["a container", "another key", "JSON alone", "the tag of a reference", "many", "long"],
)
def test_what_is_no_small_record_is_encoded_as_a_whole(value):
    assert sent_data.record(value, within(64 << 10)) is None
