"""Canonical forms: JSON data that is equal for equal values, and for them alone, in every process.

A form is a scalar, or a list that begins with its kind, so that no value has the form of another kind: 1, 1.0 and True
differ, and so do a list and a tuple. Sets and dicts have no order, since equal ones may have another; an OrderedDict
has one.
"""

from __future__ import annotations

import collections
import enum
import functools
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from lucas_storage.artifacts.body import EncodedBody, FileBody
from lucas_storage.containers import field_names
from lucas_storage.engine import adapter
from lucas_storage.formats import format_for
from lucas_storage.formats.base import type_name
from lucas_storage.limits import INT_BITS
from lucas_storage.refs import ArtifactRef, is_tagged

Form: TypeAlias = Any
"""JSON data."""

TOO_DEEP: Final = "it contains itself, or is nested too deeply"
_BESIDE: Final = ("__pydantic_extra__", "__pydantic_private__")
"""Where models of pydantic keep what is no field."""
_BUILT_IN: Final = (dict, list, set, frozenset, str, bytes, int, float)
"""What has content beside the fields of a class that descends from it."""
_PLAIN: Final = frozenset((str, bool, float, type(None)))
_BARE: Final = frozenset((str, bool, float, type(None), int))


class NotCanonicalError(Exception):
    """A value has no canonical form; the text is the reason, to follow a semicolon."""


# Made once: each step asks for a key.
_TEXT: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class UnknownKindError(NotCanonicalError):
    """It has none because of its type."""


def dumps(form: Form) -> str:
    """Return the text of a form."""
    return _TEXT.encode(form)


class Canonical:
    """Makes the forms of data. For one thread.

    Args:
        named: Whether the names of files count.
    """

    def __init__(self, *, named: bool) -> None:
        self._named = named

    def form(self, value: Any) -> Form:
        """Return the form of a value.

        Raises:
            NotCanonicalError: It has none.
        """
        try:
            return self.inner(value)
        except RecursionError as error:
            raise NotCanonicalError(TOO_DEEP) from error

    def inner(self, value: Any) -> Form:
        """Return the form of a value within others."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            return value if value.bit_length() <= INT_BITS else ["int", f"{value:x}"]
        if kind is ArtifactRef or is_tagged(value):
            return self._reference(ArtifactRef.parse(value))
        make = _CONTAINERS.get(kind)
        if make is not None:
            return make(self, value)
        scalar = _SCALARS.get(kind)
        if scalar is not None:
            return [type_name(value), scalar(value)]
        return self._record(value) or self.other(value)

    def other(self, value: Any) -> Form:
        """Return the form of what is neither a scalar nor a container: that of a reference to it.

        So a call has one key whether a value travels with it or is stored.
        """
        if isinstance(value, Path):
            return self.path(value)
        if isinstance(value, type) and value.__module__ == "builtins":
            return ["type", value.__qualname__]
        # Reading it for the key would leave nothing for the function.
        if isinstance(value, Iterator) or hasattr(value, "read") or adapter.is_lambda(value):
            raise NotCanonicalError(f"a {type_name(value)} can be read only once")
        return artifact(value)

    def path(self, value: Path) -> Form:
        """Return the form of the path of a file, whose content counts."""
        try:
            digest = FileBody(value).digest
        except OSError as error:
            raise NotCanonicalError(f"the path {value.name!r} is no file that can be read") from error
        return ["artifact", digest, "bytes@1", *([value.name] if self._named else [])]

    def tag(self, cls: type) -> Form:
        """Return what stands for a class in the forms of its instances."""
        return f"{cls.__module__}.{cls.__qualname__}"

    def items(self, values: Iterable[Any]) -> list[Form]:
        """Return the forms of values, in order."""
        return [self.inner(value) for value in values]

    def unordered(self, values: Iterable[Any]) -> list[Form]:
        """Return the forms of values, sorted: the order of a set depends on the hash seed of the process."""
        return sorted(self.items(values), key=dumps)

    def pairs(self, value: Mapping[Any, Any]) -> list[Form]:
        """Return the forms of the pairs of a mapping, sorted."""
        return sorted(([self.inner(key), self.inner(item)] for key, item in value.items()), key=dumps)

    def _reference(self, ref: ArtifactRef) -> Form:
        if ref.digest is None:
            raise NotCanonicalError("it is a reference that pins no digest; store the value again for one that does")
        return ["artifact", ref.digest, ref.format, *([ref.filename] if self._named and ref.filename else [])]

    def _record(self, value: Any) -> list[Form] | None:
        """Return the form of a value whose class the user wrote; None if it is of no kind that has fields."""
        cls = type(value)
        if isinstance(value, enum.Enum):
            return ["enum", self.tag(cls), value.name, self.content_of(value)]
        if isinstance(value, tuple) and hasattr(cls, "_fields"):
            return ["namedtuple", self.tag(cls), *self.items(value)]
        # By the class as well: two classes with equal fields are different values.
        fields = None if isinstance(value, _BUILT_IN) else _fields(value)
        return None if fields is None else ["record", self.tag(cls), self.pairs(fields)]

    def content_of(self, member: enum.Enum) -> Form:
        """Return the form of the value of a member, None if it has none."""
        try:
            return self.inner(member.value)
        except NotCanonicalError:  # such as a function: the name says which one
            return None


def artifact(value: Any) -> Form:
    """Return the form of a value that a format holds whose bytes are equal for equal values.

    Raises:
        NotCanonicalError: Only a pickle holds it.
    """
    fmt = format_for(value)
    if not fmt.safe:
        raise UnknownKindError(f"a {type_name(value)} can only be pickled, and equal ones pickle differently")
    return ["artifact", EncodedBody(fmt.encode(value)).digest, fmt.id]


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of an object whose class declares some, None of any other."""
    names = field_names(value)
    if names is None:
        return None
    cls, held = type(value), getattr(value, "__dict__", {})
    # With what the constructor sets beside the fields, and without what is computed from them on demand.
    more = {name for name in held if not isinstance(getattr(cls, name, None), functools.cached_property)}
    found = {name: getattr(value, name) for name in sorted(more.union(names)) if hasattr(value, name)}
    beside = (getattr(value, name, None) for name in _BESIDE)
    return functools.reduce(lambda fields, each: {**fields, **(each or {})}, beside, found)


def _sequence(forms: Canonical, value: Any) -> Form:
    kinds = set(map(type, value))
    bare = kinds <= _BARE and (int not in kinds or max(map(int.bit_length, filter(_is_int, value))) <= INT_BITS)
    return [type(value).__name__, *(value if bare else forms.items(value))]


def _is_int(value: Any) -> bool:
    return type(value) is int


_CONTAINERS: Final[dict[type, Callable[[Canonical, Any], Form]]] = {
    list: _sequence,
    tuple: _sequence,
    set: lambda forms, value: ["set", *forms.unordered(value)],
    frozenset: lambda forms, value: ["frozenset", *forms.unordered(value)],
    dict: lambda forms, value: ["dict", *forms.pairs(value)],
    MappingProxyType: lambda forms, value: ["mappingproxy", *forms.pairs(value)],
    collections.Counter: lambda forms, value: ["Counter", *forms.pairs(value)],
    collections.OrderedDict: lambda forms, value: ["OrderedDict", *forms.items(value.items())],
    collections.defaultdict: lambda forms, value: [
        "defaultdict",
        forms.inner(value.default_factory),
        *forms.pairs(value),
    ],
    collections.deque: lambda forms, value: ["deque", value.maxlen, *forms.items(value)],
    slice: lambda forms, value: ["slice", *forms.items((value.start, value.stop, value.step))],
}


def _zone(value: Any) -> str | None:
    """Return what tells apart the time zones of equal offsets."""
    if value.tzinfo is None:
        return None
    text = repr(value.tzinfo)
    if " at 0x" in text:
        raise NotCanonicalError(f"a {type_name(value.tzinfo)} does not say which time zone it is")
    return text


_SCALARS: Final[dict[type, Callable[[Any], Form]]] = {
    complex: repr,
    Decimal: str,
    Fraction: str,
    uuid.UUID: str,
    range: repr,
    PurePosixPath: str,
    PureWindowsPath: str,
    date: date.isoformat,
    datetime: lambda value: [value.isoformat(), value.fold, _zone(value)],
    time: lambda value: [value.isoformat(), value.fold, _zone(value)],
    timedelta: lambda value: [value.days, value.seconds, value.microseconds],
    re.Pattern: lambda value: [ascii(value.pattern), value.flags],
    type(...): repr,
    type(NotImplemented): repr,
}
