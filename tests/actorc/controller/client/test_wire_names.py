"""What functions are called on the platform."""

from __future__ import annotations

from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st

from actorc.controller.client.platform_names import wire_name

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(NAMES)
@example("Class.method")
@example("a::b")
@example("~%2E%")
@example("数据")
def test_a_name_is_told_from_what_it_is_called_and_holds_nothing_that_goes_astray(name):
    made = wire_name(name, "5f3a91-2")
    escaped, _, tag = made.rpartition("~")

    assert (unquote(escaped), tag) == (name, "5f3a91-2")
    assert not set(made) & set(".:/\\ \0")


def test_a_plain_name_stays_readable():
    assert wire_name("count_words", "5f3a91-1") == "count_words~5f3a91-1"
    assert wire_name("数据", "5f3a91-1") == "数据~5f3a91-1"
    assert wire_name("Words.count", "5f3a91-1") == "Words%2Ecount~5f3a91-1"
