"""Answers as JSON: any text of strangers becomes valid JSON, and nothing else than text."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

CONTENT_TYPE: Final = "application/json; charset=utf-8"
_LONGEST: Final = 64 * 1024
"""Characters of one text in an answer; records of strangers may have longer ones."""


def json_text(answer: Any) -> bytes:
    """Return an answer as JSON; characters that UTF-8 does not have become question marks."""
    try:
        return msgspec.json.encode(answer) + b"\n"
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(answer), ensure_ascii=False)
        return text.encode("utf-8", "replace") + b"\n"


def shortened(text: str, most: int = _LONGEST) -> str:
    """Return a text with at most so many characters, the last of them an ellipsis if it was longer."""
    return text if len(text) <= most else text[: most - 1] + "…"
