"""Names of functions on the platform: unique across applications, and free of characters that ignis interprets.

Ignis takes the text behind a dot for a method and splits ids at ``::``, and the worker of a venv has one table of
functions for every application that uses the venv.
"""

from __future__ import annotations

import re
from typing import Final

_SPECIAL: Final = re.compile(r"[^\w-]")
_SEPARATOR: Final = "~"
"""Separates a name from its tag; in names it is escaped."""


def wire_name(name: str, tag: str) -> str:
    """Return the name of the function `name` on the platform; `tag` is plain text that no other function has.

    Different names stay different; escapes are those of URLs.
    """
    return f"{_SPECIAL.sub(_escaped, name)}{_SEPARATOR}{tag}"


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))
