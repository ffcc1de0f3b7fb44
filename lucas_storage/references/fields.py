"""Rules for the fields of a reference."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from lucas_storage.errors import InvalidRefError

Kind: TypeAlias = Literal["blob", "manifest", "inline"]

DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
FORMAT: Final = re.compile(r"(?:[a-z0-9][a-z0-9._-]{0,62}/)?[a-z0-9][a-z0-9._-]{0,62}@[1-9][0-9]{0,5}")
RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")


def check_optional(pattern: re.Pattern[str], value: object, what: str, rule: str) -> None:
    """Check a field that may be None, as `check` does."""
    if value is not None:
        check(pattern, value, what, rule)


def check(pattern: re.Pattern[str], value: object, what: str, rule: str) -> None:
    """Check that a field is a text that fits a pattern.

    Args:
        pattern: What all of it fits.
        value: The field.
        what: Name of the field, for the error.
        rule: The pattern in words.

    Raises:
        InvalidRefError: It does not.
    """
    if type(value) is not str or not pattern.fullmatch(value):
        raise InvalidRefError(f"{what} of a reference is not valid; it is {rule}, not {value!r:.80}")


def is_filename(text: object) -> bool:
    """Return whether `text` can be the `filename` of a reference: one path segment of 1-255 bytes in UTF-8."""
    if not isinstance(text, str) or text in ("", ".", "..") or "/" in text or "\x00" in text:
        return False
    try:
        # The limit of common file systems for one name.
        return len(text.encode()) <= 255
    except UnicodeEncodeError:
        return False
