"""The choice of a language, and its words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .chinese import CHINESE
from .english import ENGLISH

LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {"en": ENGLISH, "zh": CHINESE}
"""Words by the names of languages."""
_PREFERENCES_MAX: Final = 500
"""Characters of a header that are read."""


class Words:
    """The words of one language.

    Args:
        language: One of `LANGUAGES`.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        """Its name, for the attribute ``lang``."""
        self._table = LANGUAGES[language]

    def __call__(self, name: str, **values: str | int) -> str:
        """Return the words of a name, with values, which may be any texts, where the words have theirs."""
        return self._table[name].format(**values)

    def chosen(self, group: str, *names: str) -> dict[str, str]:
        """Return the words of some names of a group, such as ``state``, by their names without it."""
        return {name: self._table[f"{group}.{name}"] for name in names}


def preferred(header: str) -> str:
    """Return the language that a browser prefers; English if it names none that there is.

    Args:
        header: ``Accept-Language``, by the browser.
    """
    wishes: list[tuple[float, str]] = []
    for part in header[:_PREFERENCES_MAX].split(","):
        name, _, quality = part.strip().partition(";")
        wishes.append((_weight(quality), name.partition("-")[0].lower()))
    known = [(weight, name) for weight, name in wishes if name in LANGUAGES and weight > 0]
    return max(known, key=lambda wish: wish[0])[1] if known else "en"


def _weight(quality: str) -> float:
    found = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", quality)
    return float(found[1]) if found else 0.0 if quality else 1.0
