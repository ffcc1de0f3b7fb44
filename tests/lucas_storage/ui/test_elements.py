"""Elements: text never becomes markup, wherever it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage.ui.elements import Html, element, facts, joined, lines, link, table

from .conftest import Parsed

TEXTS = st.text() | st.sampled_from(["<b>", '"', "'", "&lt;", "</p>", "<!--", "]]>", "\u202e", "\x00", "\ud800"])


@given(TEXTS, TEXTS)
def test_any_text_stays_text_as_content_and_as_attribute(text, other):
    page = Parsed(element("p", text, title=other))

    assert page.tags == ["p"]
    assert [name for _, name, _ in page.attributes] == ["title"]


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_any_texts_stay_text_in_tables_facts_and_lines(texts):
    shown = joined(
        table(texts[0], texts, [texts]), facts(dict.fromkeys(texts, texts[0])), lines("\n".join(texts), texts[0])
    )
    known = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "pre"}

    page = Parsed(shown)
    assert set(page.tags) <= known
    assert {name for _, name, _ in page.attributes} <= {"class", "tabindex", "role", "aria-label", "scope"}


def test_elements_within_elements_are_kept():
    assert element("p", "a < b ", link("/x?a=1&b=2", "c")) == '<p>a &lt; b <a href="/x?a=1&amp;b=2">c</a></p>'


@pytest.mark.parametrize(("value", "shown"), [(True, "<p hidden></p>"), (False, "<p></p>"), (None, "<p></p>")])
def test_an_attribute_that_is_true_has_no_value_and_one_that_is_not_is_left_out(value, shown):
    assert element("p", hidden=value) == shown


def test_what_was_made_of_an_element_by_other_means_is_text():
    assert element("p", Html("<b></b>").lower()) == "<p>&lt;b&gt;&lt;/b&gt;</p>"
