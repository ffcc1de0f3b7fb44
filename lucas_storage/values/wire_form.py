"""Data on its way between steps: which of it engines carry as it is, and how references stand in it."""

from __future__ import annotations

import math
from typing import Any, Final

from lucas_storage.errors import NoFormatError
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import Encoded, Format
from lucas_storage.limits import INT_BITS
from lucas_storage.refs import ArtifactRef, is_tagged

LINES: Final = "json@1"
"""Format of one line of a stream."""
_INLINE: Final = frozenset({bool, int, float, str, type(None)})
"""Types that stand in data themselves, by a tag where JSON lacks them."""
_TAGS: Final = b'{"$'
_CARRIED: Final = (b'{"$artifact"', b'{"$tuple"')
"""Tags of what engines carry: a reference, and a tuple, of which some make a list."""
_TOO_DEEP: Final = "a value refers to itself, or is nested too deeply to be passed on; flatten it"


def is_inline(value: Any) -> bool:
    """Return whether a value that is no container stands in data itself, and is no artifact of its own."""
    return type(value) in _INLINE


def is_number(value: Any) -> bool:
    """Return whether every JSON reader gives a number, bool or None back unchanged."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is not int or value.bit_length() <= INT_BITS


def is_data_format(format_id: str | None) -> bool:
    """Return whether a format, or its name, is one of data in which references stand; None lets the value decide."""
    return format_id is None or format_id.partition("@")[0] == "json"


def encoded(skeleton: Any, requested: str | None = None) -> tuple[Format, Encoded]:
    """Return data, and the references in it, in its format.

    Raises:
        ValueError: It is nested too deeply.
    """
    fmt = format_for(skeleton, requested)
    try:
        # Never a pickle, in which nobody would find the references.
        return (fmt, fmt.encode(skeleton)) if fmt.safe else (fmt, format_by_id(LINES).encode(skeleton))
    except NoFormatError as error:
        raise ValueError(_TOO_DEEP) from error


def is_plain(fmt: Format, data: Encoded) -> bool:
    """Return whether engines carry encoded data as it is, but for references."""
    if not is_data_format(fmt.id):
        return fmt.id == "text@1"
    # A quote within a text is escaped, so that what looks like the begin of a tag is one, or a dict like one.
    text = bytes(data)
    return text.count(_TAGS) == sum(map(text.count, _CARRIED))


def tagged(value: Any) -> Any:
    """Return data with its references as tagged dicts, as engines carry them."""
    if type(value) is ArtifactRef:
        return value.to_json()
    if type(value) is dict:
        return {key: tagged(item) for key, item in value.items()}
    return type(value)(map(tagged, value)) if type(value) in (list, tuple) else value


def with_refs(value: Any) -> Any:
    """Return data with its tagged dicts as `ArtifactRef`, by which a format tells them from the user's own dicts."""
    if type(value) is dict:
        if is_tagged(value):
            return ArtifactRef.parse(value)
        return {key: with_refs(item) for key, item in value.items()}
    return type(value)(map(with_refs, value)) if type(value) in (list, tuple) else value


def placeholder(where: str) -> str:
    """Return the text of the error for a Lambda in the place of a value."""
    return (
        f"{where} is a placeholder of the workflow and not a value; pass it to wf.call as a parameter of its own, "
        "and call functions through wf.call, not directly"
    )
