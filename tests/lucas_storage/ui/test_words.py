"""Every word of the pages is there in each language."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

import lucas_storage.ui
from lucas_storage.ui.words.vocabulary import LANGUAGES, Words, preferred

HOME = Path(lucas_storage.ui.__file__).parent
ENGLISH = LANGUAGES["en"]


def values_in(text):
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name)


def called_words():
    """Yield the names, as patterns, of the words that the pages ask for."""
    for path in HOME.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("words") and node.args:
                yield from patterns_of(node.args[0])


def patterns_of(argument):
    if isinstance(argument, ast.Constant):
        yield re.escape(argument.value)
    elif isinstance(argument, ast.JoinedStr):
        parts = [re.escape(part.value) if isinstance(part, ast.Constant) else r"[\w.]+" for part in argument.values]
        yield "".join(parts)
    elif isinstance(argument, ast.IfExp):
        yield from patterns_of(argument.body)
        yield from patterns_of(argument.orelse)


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
def test_a_language_has_all_words_with_the_same_values(language):
    assert list(LANGUAGES[language]) == list(ENGLISH)
    different = [name for name, text in LANGUAGES[language].items() if values_in(text) != values_in(ENGLISH[name])]
    assert different == []


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
def test_no_word_was_left_untranslated(language):
    assert [name for name, text in LANGUAGES[language].items() if text == ENGLISH[name]] == []


def test_the_pages_ask_for_words_that_are_there_and_for_all_of_them():
    patterns = [re.compile(each) for each in called_words()]
    assert len(patterns) > 100

    assert [each.pattern for each in patterns if not any(map(each.fullmatch, ENGLISH))] == []
    # The names of states are looked up as a group.
    unused = [name for name in ENGLISH if not any(each.fullmatch(name) for each in patterns)]
    assert [name for name in unused if not name.startswith("state.")] == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("fr,zh;q=0.5,en;q=0.2", "zh"),
        ("fr", "en"),
        ("zh;q=0", "en"),
        ("zh;q=nan, en;q=0.1", "en"),
        (",;q=,\x00" * 100_000, "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(header, language):
    assert preferred(header) == language


def test_values_may_be_any_text():
    assert "{0}{x!r}" in Words("en")("more", count="{0}{x!r}")
