"""Fingerprints of results: whether a step returned the same, of a record that need not hold the value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from lucas_storage.errors import InvalidRefError
from lucas_storage.refs import ArtifactRef, is_tagged

Form: TypeAlias = "list[Any] | str | int | float | bool | None"


def fingerprint(out: Any, same: Mapping[str | None, str | None] = MappingProxyType({})) -> str | None:
    """Return the SHA-256 in hexadecimal of a result as it travels; for ever the same for the same result.

    An artifact counts by format, kind, size and digest, wherever it lies and whatever its file is called. None if the
    value holds what no engine carries, or is nested too deeply, as one that a stranger recorded may be.

    Args:
        out: The result.
        same: For the digest of an artifact that of another one in whose place it counts.
    """
    try:
        text = json.dumps(_form(out, same), sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError, InvalidRefError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _form(out: Any, same: Mapping[str | None, str | None]) -> Form:
    """Return a result as it travels as JSON data that is equal for the same results only."""
    if type(out) is ArtifactRef or is_tagged(out):
        ref = ArtifactRef.parse(out)
        return ["artifact", ref.format, ref.kind, ref.size, same.get(ref.digest, ref.digest)]
    if type(out) is dict:
        return ["dict", {key: _form(item, same) for key, item in out.items()}]
    if type(out) in (list, tuple):
        return [type(out).__name__, *(_form(item, same) for item in out)]
    if type(out) is float:  # 1.0 equals 1, and is another value
        return ["float", out.hex()]
    # True equals 1 as well, and JSON tells them apart.
    return json.dumps(out)
