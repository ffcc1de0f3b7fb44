"""Which of several annotated types a value is, or an artifact becomes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Final

from lucas_storage.refs import ArtifactRef
from lucas_storage.values.annotations.annotation import (
    ANY,
    PIECES,
    REF,
    Annotation,
    Columns,
    DictOf,
    Either,
    EnumOf,
    IteratorOf,
    ListOf,
    Made,
    OneOf,
    Record,
    RecordKind,
    SetOf,
    TupleOf,
    TupleOfAnyLength,
    Word,
)
from lucas_storage.values.annotations.shown import shown

from .conversions import converted
from .load_value import is_ready, mismatch
from .record_fields import Classes, fields_given, is_nameless, made

_CONTENT: Final = ("binaryio", "textio", "bytes", "str")
_FILE: Final = ("path", *_CONTENT)
_TABLES: Final = ("dataframe", "polars", "table", "lazyframe", "dataset", "ndarray")
_OF_FORMAT: Final[dict[str, tuple[str, ...]]] = {
    "arrow": _TABLES,
    "parquet": _TABLES,
    "npy": ("ndarray", *_TABLES),
    "text": ("str", "textio", "binaryio", "bytes"),
    "tree": ("path",),
}
"""Words for what an artifact becomes, by the name of its format, the first best."""
_BYTES: Final = ("bytes", "bytearray")
"""Names of the formats of bytes without a meaning."""
_BYTES_FIRST: Final = ("bytes", *_FILE)


def of_value(value: Any, annotation: Either, classes: Classes) -> Annotation:
    """Return the member that a value is, or else the first that it can become.

    Raises:
        TypeError: It is none of them; to follow the name of its parameter.
    """
    # A member that takes any value comes last but for conversions of containers, wherever it is written.
    others = [member for member in annotation.members if member != ANY]
    found = [member for member in others if _is(value, member, classes)]
    found += [member for member in others if _becomes(value, member)]
    found += [ANY] if ANY in annotation.members else []
    found += [member for member in others if _is_held_as(value, member)]
    if found:
        return found[0]
    raise TypeError(mismatch(value, shown(annotation)))


def of_artifact(ref: ArtifactRef, annotation: Either) -> Annotation:
    """Return the member that an artifact becomes; the annotation itself if its value decides."""
    if REF in annotation.members:
        return REF
    name = ref.format.partition("@")[0]
    # Of bytes with the name of a file, a file is made first, in whatever order the types are written.
    wanted = _OF_FORMAT.get(name, ()) if name not in _BYTES else _FILE if ref.filename else _BYTES_FIRST
    words = {_word(member): member for member in annotation.members}
    found = next((words[word] for word in wanted if word in words), None)
    if found is not None:
        return found
    if name in (*_BYTES, "stream"):
        return next((member for member in annotation.members if isinstance(member, IteratorOf)), annotation)
    return annotation


def _is(value: Any, member: Annotation, classes: Classes) -> bool:  # noqa: C901, PLR0911  # one case for each form
    kind = type(value)
    match member:
        case Word("str"):
            return isinstance(value, str)
        case Word("ref"):
            return kind is ArtifactRef
        case Word(word):
            return is_ready(value, word)
        case ListOf() | IteratorOf():
            return kind in (list, deque) or (isinstance(member, IteratorOf) and isinstance(value, Iterator))
        case SetOf():
            return kind in (set, frozenset)
        case DictOf():
            return isinstance(value, dict)
        case TupleOf(items):
            return kind is tuple and len(value) == len(items)
        case TupleOfAnyLength():
            return kind is tuple
        case Record(kind=record, name=name):
            return _is_record(value, record, name, classes)
        case OneOf() | EnumOf():
            return _converts(value, member, classes)
        case Made(name, inner):
            return kind.__name__ == name or _is(value, inner, classes)
        case Columns(inner=inner):
            return _is(value, inner, classes)
    return False


def _is_record(value: Any, kind: RecordKind, name: str, classes: Classes) -> bool:
    cls = classes.get(name)
    if cls is None or type(value) is cls:
        return cls is not None
    try:
        given = fields_given(value, kind, cls)
        if is_nameless(cls) and given is not None:
            made(cls, given, list(given.values()))  # tried, since it may be made of a value of any type
    except (TypeError, ValueError):
        return False
    return given is not None


def _converts(value: Any, member: OneOf | EnumOf, classes: Classes) -> bool:
    try:
        converted(value, member, classes)
    except TypeError:
        return False
    return True


def _becomes(value: Any, member: Annotation) -> bool:
    """Return whether a leaf is turned into the type of a member when it is loaded."""
    word = _word(member)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return member == PIECES or word in ("path", "binaryio", "bytes", "textio")
    if isinstance(value, PurePath):
        return member == PIECES or word in _CONTENT
    if isinstance(value, str):
        return word == "textio"
    return word in _TABLES and any(is_ready(value, other) for other in _TABLES[:3])


def _is_held_as(value: Any, member: Annotation) -> bool:
    """Return whether a sequence of one type is what JSON made of a member."""
    if isinstance(member, Made):
        return _is_held_as(value, member.inner)
    if isinstance(member, TupleOf):
        return type(value) is list and len(value) == len(member.items)
    return type(value) in (list, tuple) and isinstance(member, ListOf | SetOf | TupleOfAnyLength | IteratorOf)


def _word(member: Annotation) -> str:
    inner = member.inner if isinstance(member, Columns | Made) else member
    return inner.name if isinstance(inner, Word) else ""
