"""The places at which two values of JSON data differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Final

from lucas_storage.refs import ArtifactRef

from .difference import TEXT, Change, counted

_NAME: Final = re.compile(r"[A-Za-z_]\w{0,99}")
_DEPTH: Final = 40
"""Levels below which values are compared as wholes: each level is gone through once more than the one below it."""
_MISSING: Final = object()


def changes(before: Any, after: Any, place: str = "$", depth: int = 0) -> Iterator[Change]:
    """Yield the differences of two values, each with its place, such as ``$.prices[3]``.

    Lists are compared without their equal beginning and end, so that an item that was put between others is one change.

    Args:
        before: JSON data, in which there may be references.
        after: The other value.
        place: Where both stand.
        depth: Levels above them.
    """
    if depth < _DEPTH and type(before) is dict and type(after) is dict:
        # Names of the former in their order, then those that are new.
        for name in {**before, **after}:
            pair = before.get(name, _MISSING), after.get(name, _MISSING)
            yield from changes(*pair, f"{place}{_step(name)}", depth + 1)
    elif depth < _DEPTH and type(before) is list and type(after) is list:
        yield from _of_lists(before, after, place, depth + 1)
    elif not _is_same(before, after):
        yield Change.of(place, _shown(before), _shown(after))


def _of_lists(before: list[Any], after: list[Any], place: str, depth: int) -> Iterator[Change]:
    ours, theirs = (list(map(canonical, each)) for each in (before, after))
    head = _same(ours, theirs)
    rest = min(len(ours), len(theirs)) - head
    tail = _same(ours[::-1][:rest], theirs[::-1][:rest])
    for at in range(head, max(len(before), len(after)) - tail):
        former, latter = (each[at] if at < len(each) - tail else _MISSING for each in (before, after))
        yield from changes(former, latter, f"{place}[{at}]", depth)


def _same(before: list[str], after: list[str]) -> int:
    """Return the number of items at the beginning that are equal."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))


def canonical(value: Any) -> str:
    """Return a text that two values of JSON data have in common if they are the same.

    References are the same if their digests are. All values that are nested too deep to be written are taken for one.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_identity)
    except (RecursionError, TypeError, ValueError):  # too deep, names that are no texts, an int of thousands of digits
        return f"?{type(value).__name__}"


def _identity(value: Any) -> Any:
    is_pinned = type(value) is ArtifactRef and value.digest
    return ["$artifact", value.digest, value.format] if is_pinned else repr(value)


def _is_same(before: Any, after: Any) -> bool:
    # 1, 1.0 and True are equal in Python, and three things in JSON. A NaN is no other NaN than before.
    return before is not _MISSING and after is not _MISSING and canonical(before) == canonical(after)


def _step(name: Any) -> str:
    text = str(name)
    return f".{text}" if _NAME.fullmatch(text) else f"[{json.dumps(text[:TEXT], ensure_ascii=False)}]"


def _shown(value: Any) -> str | None:
    if value is _MISSING:
        return None
    # Cut before it is written: a text of 10 MB would be copied for its first letters.
    if type(value) is str:
        return json.dumps(value[: TEXT + 1], ensure_ascii=False)
    if type(value) in (dict, list):
        return f"{{{counted(len(value), 'name')}}}" if type(value) is dict else f"[{counted(len(value), 'value')}]"
    if type(value) is ArtifactRef:
        return _text_in(value) or repr(value)
    return json.dumps(value, default=str)


def _text_in(ref: ArtifactRef) -> str | None:
    """Return the text of data that a reference carries itself; None if it is elsewhere, or no text."""
    if ref.inline is None or not ref.format.startswith(("json@", "text@")):
        return None
    return ref.inline[: 4 * TEXT].decode(errors="replace")
