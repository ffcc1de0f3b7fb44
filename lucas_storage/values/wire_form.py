"""Data on its way between steps: which of it engines carry as it is, and how references stand in it."""

from __future__ import annotations

from typing import Any, Final

from lucas_storage.containers import BUILT_IN
from lucas_storage.errors import NoFormatError
from lucas_storage.formats import (
    encode_data,
    format_by_id,
    format_for,
    is_tagged_scalar,
    may_hold_references,
)
from lucas_storage.formats.base import Encoded, Format
from lucas_storage.formats.json_data.json_tags import JSON_2
from lucas_storage.formats.json_data.plain_data import SCALARS
from lucas_storage.formats.tensors import is_tensors
from lucas_storage.refs import ArtifactRef, is_tagged

from .own_copy import own_data

_DATA: Final = "json"
_NEWEST: Final = "json@2"
_TAGS: Final = b'{"$'
_CARRIED: Final = (b'{"$artifact"', b'{"$tuple"')
"""Tags of what engines carry: a reference, and a tuple, of which some make a list."""
_SCALARS: Final = JSON_2.scalars.keys() - {ArtifactRef}
"""Types of the standard library of which data holds values; for others, such as numpy's, their formats are asked."""


class TooDeepError(ValueError):
    """Data is nested deeper than its formats hold."""


def is_inline(value: Any) -> bool:
    """Return whether a value that is no container stands in data itself, and is no artifact of its own."""
    kind = type(value)
    # Arrays and tables have dimensions, which spares them the question whether they are scalars of numpy. The class is
    # asked first: an object of netCDF4 answers a name that it lacks with an error that is no AttributeError.
    return kind in SCALARS or (not (hasattr(kind, "ndim") and value.ndim) and is_tagged_scalar(value))


def are_inline(values: list[Any]) -> bool:
    """Return whether `is_inline` is true of all values."""
    return all(is_tagged_scalar(value) for value in values if type(value) not in SCALARS)


def whole(value: Any, *, may_be_exact: bool = True) -> tuple[Format, Encoded] | None:
    """Return a value that is data as a whole in its format; None if leaves or references in it stand apart.

    Args:
        value: The value.
        may_be_exact: Whether it was not found yet that it is no exact data.
    """
    if type(value) not in BUILT_IN:
        return encoded(value) if type(value) in _SCALARS and is_inline(value) else None
    found = encode_data(value, may_be_exact=may_be_exact)
    # References are found by their text: looking at each dict would cost more than encoding all of them.
    return None if found is None or may_hold_references(found[1]) else found


def is_held(container: Any) -> bool:
    """Return whether data holds a built-in container itself, whatever is in it.

    Else it is an object to be pickled, or a dict of tensors, which one file holds.
    """
    if is_tensors(container):
        return False
    way = JSON_2.containers[type(container)]
    return way.holds is None or way.holds((container,))


def is_data_format(format_id: str | None) -> bool:
    """Return whether a format, or its name, is one of data in which references stand; None lets the value decide."""
    return format_id is None or format_id.partition("@")[0] == _DATA


def encoded(skeleton: Any, requested: str | None = None) -> tuple[Format, Encoded]:
    """Return data, and the references in it, in its format.

    Raises:
        TooDeepError: It is nested too deeply.
    """
    found = encode_data(skeleton) if requested is None and type(skeleton) in BUILT_IN else None
    if found is not None:
        return found
    fmt = format_for(skeleton, requested)
    try:
        # Never a pickle, in which nobody would find the references.
        return (fmt, fmt.encode(skeleton)) if fmt.safe else (fmt, format_by_id(_NEWEST).encode(skeleton))
    except NoFormatError as error:
        raise TooDeepError(too_deep()) from error


def is_plain(fmt: Format, data: Encoded) -> bool:
    """Return whether engines carry encoded data as it is, but for references."""
    if not is_data_format(fmt.id):
        return fmt.id == "text@1"
    return is_carried(bytes(data))


def is_carried(text: bytes) -> bool:
    """Return whether engines carry data of this JSON text as it is, but for references."""
    # A quote within a text is escaped, so that what looks like the begin of a tag is one, or a dict like one. The
    # dollar first: a single byte is looked for twenty times as fast.
    return b"$" not in text or text.count(_TAGS) == sum(map(text.count, _CARRIED))


def is_untagged(fmt: Format, data: Encoded) -> bool:
    """Return whether encoded data has no tags: it is what every JSON reader makes of it."""
    return is_data_format(fmt.id) and b"$" not in bytes(data)


def own(value: Any) -> Any:
    """Return data as engines carry it, with nothing in it that belongs to anybody else."""
    copied = own_data(value) if type(value) in BUILT_IN else None
    return tagged(value) if copied is None else copied


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


def too_deep(subject: str = "a value") -> str:
    """Return the text of the error for a value that contains itself, or is nested too deeply, on every way."""
    return f"{subject} refers to itself, or is nested too deeply to be passed on; flatten it"


def placeholder(where: str) -> str:
    """Return the text of the error for a Lambda in the place of a value."""
    return (
        f"{where} is a placeholder of the workflow and not a value; pass it to wf.call as a parameter of its own, "
        "and call functions through wf.call, not directly"
    )
