"""Annotations of parameters and results as data, in which the types that they name are not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

RecordKind: TypeAlias = Literal["dataclass", "attrs", "pydantic", "namedtuple", "typeddict"]


@dataclass(frozen=True, slots=True)
class Word:
    """A type with a word of its own, or ``any``."""

    name: str


@dataclass(frozen=True, slots=True)
class OrNone:
    """A type, or None in its place."""

    inner: Annotation


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    items: Annotation


@dataclass(frozen=True, slots=True)
class SetOf:
    """A set; a frozenset stays one."""

    items: Annotation


@dataclass(frozen=True, slots=True)
class IteratorOf:
    """An iterator, whose items are loaded one by one."""

    items: Annotation


@dataclass(frozen=True, slots=True)
class DictOf:
    """A dict."""

    values: Annotation
    keys: Annotation = Word("any")
    """The keys, which JSON engines make text; ``any`` leaves them as they come."""


@dataclass(frozen=True, slots=True)
class TupleOf:
    """A tuple of as many items as there are annotations."""

    items: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class TupleOfAnyLength:
    """A tuple of equal items."""

    items: Annotation


@dataclass(frozen=True, slots=True)
class Record:
    """A class with named fields."""

    kind: RecordKind
    name: str
    """Label of the class among the classes of its function."""
    fields: tuple[tuple[str, Annotation], ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of several types; the value decides which."""

    members: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class EnumOf:
    """A member of an enumeration."""

    name: str
    """Label of the class among the classes of its function."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A table of which only some columns are read."""

    columns: tuple[str, ...]
    inner: Annotation


@dataclass(frozen=True, slots=True)
class Made:
    """A type of the standard library that is made of another one, in which its values travel."""

    type: Literal["OrderedDict", "bytearray", "deque", "frozenset"]
    inner: Annotation


@dataclass(frozen=True, slots=True)
class StoredAs:
    """A result with the options of an `Out`."""

    format: str | None
    name: str | None
    inner: Annotation


Annotation: TypeAlias = (
    Word
    | OrNone
    | ListOf
    | SetOf
    | IteratorOf
    | DictOf
    | TupleOf
    | TupleOfAnyLength
    | Record
    | Either
    | OneOf
    | EnumOf
    | Columns
    | Made
    | StoredAs
)

ANY: Final = Word("any")
REF: Final = Word("ref")
BYTES: Final = Word("bytes")
STR: Final = Word("str")
PATH: Final = Word("path")
PIECES: Final = IteratorOf(BYTES)
"""The content of a file or a stream, piece by piece."""
STORAGE: Final = Word("storage")
"""A parameter annotated `Storage` or `StorageClient`; never shipped."""
RUNTIME: Final = Word("runtime")
"""A parameter annotated with Lucas's `Runtime`; never shipped."""


def of_child(annotation: Annotation, name: Any, count: int) -> Annotation:
    """Return what an annotation asks for in one child of a container.

    Args:
        annotation: The annotation of the container.
        name: Key or position of the child; None for a key.
        count: Number of children.
    """
    match annotation:
        case ListOf(items) | SetOf(items) | IteratorOf(items) | TupleOfAnyLength(items):
            return items
        case DictOf(values):
            return values if name is not None else ANY
        case TupleOf(items):
            return items[name] if len(items) == count else ANY
    return ANY


def has_options(annotation: Annotation) -> bool:
    """Return whether an annotation has options for a value, or for one at any depth in it."""
    match annotation:
        case StoredAs():
            return True
        case (
            OrNone(inner)
            | ListOf(inner)
            | SetOf(inner)
            | IteratorOf(inner)
            | TupleOfAnyLength(inner)
            | DictOf(inner)
            | Columns(inner=inner)
        ):
            return has_options(inner)
        case TupleOf(inners) | Either(inners):
            return any(map(has_options, inners))
        case Record(fields=fields):
            return any(has_options(inner) for _, inner in fields)
    return False


def within(annotation: Annotation) -> tuple[Annotation, ...]:
    """Return the annotations that one is made of; none for a type alone."""
    match annotation:
        case OrNone(inner) | Columns(inner=inner) | Made(inner=inner) | StoredAs(inner=inner):
            return (inner,)
        case ListOf(items) | SetOf(items) | IteratorOf(items) | TupleOfAnyLength(items):
            return (items,)
        case DictOf(values, keys):
            return values, keys
        case TupleOf(members) | Either(members):
            return members
        case Record(fields=fields):
            return tuple(inner for _, inner in fields)
    return ()
