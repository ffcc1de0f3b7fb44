"""Fingerprints of results: whether a step returned the same, of a record that need not hold the value."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeAlias

from lucas_storage.errors import InvalidRefError
from lucas_storage.refs import ArtifactRef, is_tagged

Form: TypeAlias = "list[Any] | str | int | float | bool | None"


def fingerprint(out: Any) -> str | None:
    """Return the SHA-256 in hexadecimal of a result as it travels; for ever the same for the same result.

    An artifact counts by format, kind, size and digest, wherever it lies and whatever its file is called. None if the
    value holds what no engine carries, or is nested too deeply, as one that a stranger recorded may be.
    """
    try:
        text = json.dumps(_form(out), sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError, InvalidRefError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _form(out: Any) -> Form:
    """Return a result as it travels as JSON data that is equal for the same results only."""
    if type(out) is ArtifactRef or is_tagged(out):
        ref = ArtifactRef.parse(out)
        return ["artifact", ref.format, ref.kind, ref.size, ref.digest]
    if type(out) is dict:
        return ["dict", {key: _form(item) for key, item in out.items()}]
    if type(out) in (list, tuple):
        return [type(out).__name__, *map(_form, out)]
    if type(out) is float:  # 1.0 equals 1, and is another value
        return ["float", out.hex()]
    # True equals 1 as well, and JSON tells them apart.
    return json.dumps(out)
