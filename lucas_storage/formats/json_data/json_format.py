"""JSON data as a format: ``json@1``, and ``json@2`` for data that has scalars or containers which the first lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Final

from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.formats.base import Encoded, Format, Source, stored
from lucas_storage.refs import TAG, inline_ref

from .json_scalars import numpy_scalars
from .json_tags import ADDED, JSON_1, JSON_2, Dialect
from .json_text import dumps, loads, refuse_constant
from .plain_data import is_exact
from .rare_tags import RareTags
from .tagged_text import TaggedText

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_TAG: Final = b'{"$'
"""The begin of every tag as it is written; a quote within a text is escaped."""
_REFERENCE: Final = f'"{TAG}"'.encode()
_TAGS: Final = re.compile(rb'\{\s*"\$')
_RARE_TAGS: Final = 256
_RARE_LISTS: Final = 64
"""Bytes of text for each tag, and for each list, from which on they are rare."""
_SENSELESS: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    OSError,
    RecursionError,
    MemoryError,
)
"""What parsers and constructors raise for text that no writer wrote; an OSError is of a time zone's name."""


class JsonFormat(Format):
    """JSON data, exactly, with tags for what JSON lacks; nested references stay references."""

    id = "json@1"
    content_type = "application/json"
    extension = ".json"
    dialect: ClassVar[Dialect] = JSON_1

    def handles(self, value: object) -> bool:
        """Return whether `value` consists of JSON data and of types that have a tag."""
        return is_exact(value) or self.dialect.holds(value)

    def encode(self, value: Any) -> Encoded:
        """Return `value` as JSON; the order of dicts is kept, sets are sorted so that equal sets have equal bytes."""
        data = _exact(value)
        return self.encode_tagged(value) if data is None else Encoded((data,))

    def encode_tagged(self, value: Any) -> Encoded:
        """Return what `encode` does, for a value that is no exact data."""
        return Encoded((_written(value, self.dialect.text()),))

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the value, or the stored bytes."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        data = source.read()
        try:
            if _TAGS.search(data) is None:
                return loads(data)
            if _is_one_tag(bytes(data)):
                return self.dialect.read(loads(data))
            if _is_mostly_scalars(bytes(data)):
                return RareTags(self.dialect.read).value(loads(data))
            return json.loads(str(data, "utf-8"), object_hook=self.dialect.read, parse_constant=refuse_constant)
        except _SENSELESS as error:
            raise DecodeError(f"an artifact of format {self.id} is not JSON as this version writes it") from error


class Json2Format(JsonFormat):
    """JSON data with more tags: dates, Decimal, UUID, short bytes, pure paths, the containers of `collections`.

    For data that needs them; whatever ``json@1`` holds is written as that, for readers that know no other.
    """

    id = "json@2"
    extends = JsonFormat.id
    dialect = JSON_2


def _written(value: Any, writer: TaggedText) -> bytes:
    """Return the text of a value.

    Raises:
        NoFormatError: It is not held, or nested too deep.
    """
    try:
        return writer.of(value).encode()
    except RecursionError as error:
        raise NoFormatError("a value is nested too deep for JSON; flatten it") from error


def _exact(value: Any) -> bytes | None:
    """Return exact data as JSON text without a tag; None for any other value."""
    if not is_exact(value):
        return None
    data = dumps(value)
    # A key that looks like a tag: the user's own dict has to be told from one.
    return None if _holds(data, _TAG) else data


def _is_one_tag(data: bytes) -> bool:
    """Return whether data is a tag with none in it, such as a dict of ints by ints."""
    return data.startswith(_TAG) and data.count(b"$") == 1


def _is_mostly_scalars(data: bytes) -> bool:
    """Return whether a parser that knows no tags gains more than it costs to look for them afterwards."""
    return data.count(b"$") * _RARE_TAGS < len(data) and data.count(b"[") * _RARE_LISTS < len(data)


def _holds(data: bytes, mark: bytes) -> bool:
    # The dollar first: a single byte is looked for twenty times as fast as several.
    return b"$" in data and mark in data


REFERENCES_IN: Final = frozenset({JsonFormat.id, Json2Format.id})


def holds_references(format_id: str) -> bool:
    """Return whether artifacts of a format are JSON text, in which references may stand.

    The lines of a ``stream@1`` of records are ``json@1`` text, too; what needs another version stands in its line as an
    inline reference (see `json_line`).
    """
    return format_id in REFERENCES_IN


def encode_data(value: Any, *, may_be_exact: bool = True) -> tuple[Format, Encoded] | None:
    """Return `value` encoded in the first version that holds it, and that version; None if none does.

    Args:
        value: The value.
        may_be_exact: Whether it was not found yet that it is no exact data.
    """
    if may_be_exact and (data := _exact(value)) is not None:
        return _JSON_1, Encoded((data,))
    # Whatever either version holds has one text, and what was met tells which is the first that holds it.
    writer = JSON_2.text()
    try:
        data = _written(value, writer)
    except NoFormatError:
        return None
    return (_JSON_1 if writer.kinds.isdisjoint(ADDED) else _JSON_2), Encoded((data,))


def encode_exact(value: Any) -> tuple[Format, Encoded] | None:
    """Return exact data as `encode_data` does; None for any other value, of which nothing was written."""
    data = _exact(value)
    return None if data is None else (_JSON_1, Encoded((data,)))


def encode_each(values: Collection[Any], room: int) -> list[bytes] | None:
    """Return each of some values as `encode_data` does for one alone; None if one is not held.

    Args:
        values: The values.
        room: How many levels deep they may be nested.
    """
    writer = JSON_2.text(room)
    try:
        return list(map(str.encode, writer.of_all(values)))
    except (NoFormatError, RecursionError):
        return None


def format_of_text(data: bytes) -> str:
    """Return the id of the first version that holds what `encode_each` wrote."""
    return Json2Format.id if _TAG in data and _TAGS_OF_2.search(data) else JsonFormat.id


def may_hold_references(data: bytes | memoryview | Encoded) -> bool:
    """Return whether a reference may stand in JSON data, at any depth; False proves that none does."""
    return _holds(bytes(data), _REFERENCE)


def is_tagged_scalar(value: object) -> bool:
    """Return whether `value` is no exact data, but a scalar that ``json@2`` holds, equal and of exactly its type.

    Such are NaN and infinities, long ints, texts with lone surrogates, datetime, date, time and timedelta, Decimal,
    UUID, complex, ranges, pure paths, bytes and bytearrays of at most 4096 bytes, and scalars of numpy; no subclass of
    any, no datetime of an unknown class of time zone, and no `ArtifactRef`.
    """
    kind = type(value)
    scalar = JSON_2.scalars.get(kind)
    if scalar is None:
        return kind not in JSON_2.containers and numpy_scalars((value,)) is not None
    if scalar.holds is not None:
        return scalar.holds((value,))
    return kind in _ALWAYS_TAGGED or (kind in _SOMETIMES_TAGGED and not is_exact(value))


def json_line(value: Any) -> bytes:
    """Return one record of a stream as a line of ``json@1``, with an `ArtifactRef` for each reference in it.

    A record that only ``json@2`` holds becomes an inline reference of that format, which readers load like any other;
    those that do not know the format say so, and never take a tag for a dict.

    Raises:
        NoFormatError: Neither holds it.
    """
    if _JSON_1.handles(value):
        return bytes(_JSON_1.encode(value))
    return bytes(_JSON_1.encode(inline_ref(Json2Format.id, bytes(_JSON_2.encode(value)))))


_JSON_1: Final = JsonFormat()
_JSON_2: Final = Json2Format()
_TAGS_OF_2: Final = re.compile(
    rb'\{"\$(?:%s)":' % "|".join(tag[1:] for tag in JSON_2.readers if tag not in JSON_1.readers).encode()
)
_SOMETIMES_TAGGED: Final = frozenset({int, float, str})
_ALWAYS_TAGGED: Final = JSON_2.scalars.keys() - JSON_1.scalars.keys()
TAGGED_ALONE: Final = _ALWAYS_TAGGED - {bytes, bytearray}
"""Types of scalars of which a value stands in a tag of ``json@2`` by itself."""
