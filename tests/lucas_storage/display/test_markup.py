"""Markup from texts of strangers: nothing becomes a tag, moves its neighbours, is endless, or breaks a parser."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from lucas_storage.display import markup

HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></td></div><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)",
    "&#60;script&#62;",
    "safe\u202egpj.exe",
    "\u2066hidden\u2069",
    "a\x00b\x1b[2Jc\x7f",
    "\ud800 half of a pair",
    "\ufffe no character",
    "x" * 10_000_000,
    "line\nline\r\nline",
    "]]><!-- -->",
    "数据",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_a_hostile_text_is_shown_as_text(text):
    made = [
        markup.table([text], [[text]]),
        markup.facts({text: text}),
        markup.note(text),
        markup.heading(text, text),
        markup.lines([text]),
        markup.image(b"png", text),
    ]

    tree = ET.fromstring(markup.box(*made))

    shown = ET.tostring(tree, encoding="unicode")
    assert len(shown) < 10_000
    assert {each.tag for each in tree.iter()} <= {
        *("div", "table", "thead", "tbody", "tr", "th", "td", "span", "strong", "pre", "img")
    }
    assert {name for each in tree.iter() for name in each.attrib} <= {"style", "alt", "src"}
    assert not {"\u202e", "\u2066", "\x1b"} & set(shown)


def test_a_text_keeps_its_letters_and_shows_the_invisible_ones_as_escapes():
    assert markup.visible("数据 é ok") == "数据 é ok"
    assert markup.visible("a\u202eb\x1bc\n") == "a\\u202eb\\x1bc\\n"
    assert markup.visible("a\nb", keep="\n") == "a\nb"


def test_a_long_text_is_cut_with_a_mark():
    assert markup.visible("x" * 201) == "x" * 200 + "…"
    assert markup.visible("x" * 200) == "x" * 200


@pytest.mark.parametrize(
    "text",
    ["a_name_that_is_far_too_long_for_a_box", "汇总所有气象站的每日温度数据并且检查缺失", "mixed 数据 of both widths"],
)
def test_a_name_is_cut_in_the_middle_to_a_width(text):
    cut = markup.cut_to(text, 16)

    assert markup.columns_of(cut) <= 16
    assert cut.startswith(text[:3])
    assert cut.endswith(text[-2:])
    assert "…" in cut


def test_a_name_that_fits_is_left_alone():
    assert markup.cut_to("汇总", 16) == "汇总"
