"""What functions are called on the platform, where some names go astray and one process serves many applications.

Ignis takes what follows a dot for a method and splits ids at ``::``, and the worker of a venv has one table of
functions for every application that uses the venv.
"""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = re.compile(r"[^\w-]")
_MARK: Final = "~"
"""Separates a name from what makes it the only one; names have it escaped."""


def wire_name(name: str, tag: str) -> str:
    """Return what the function `name` is called on the platform; `tag` is plain, and no other function has it.

    Different names stay different, and what is escaped is so as in a URL.
    """
    return f"{_PLAIN.sub(_escaped, name)}{_MARK}{tag}"


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))
