"""Annotations of parameters and results as data, and the form in which they are shipped.

A worker has the annotation without the types that it names, so a shipped contract holds strings and tuples alone::

    shipped = word                        any ref bytes str path binaryio ndarray table dataframe polars
            | ("optional", shipped)       None, or the value
            | ("list" | "set" | "iterator", shipped)
            | ("dict", shipped)           of the values; keys are str, or as they come
            | ("dict", shipped, shipped)  of the values, and of the keys
            | ("tuple", shipped, ...)     position by position
            | ("tuple*", shipped)         of any length
            | ("dataclass", name, ((field, shipped), ...))  a dataclass; one within itself is any
            | ("record", kind, name, ((field, shipped), ...))  a class of another kind, likewise
            | ("either", shipped, ...)    one of several types
            | ("literal", value, ...)     one of these values
            | ("enum", name)              a member of an enumeration
            | ("columns", (column, ...), shipped)  a table of which these columns are wanted
            | ("out", format, name, shipped)  a result with options

The forms of a class name it with a label, by which the function's own classes are found: a class that data names is
never imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, assert_never

Shipped: TypeAlias = "str | tuple[Any, ...]"

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


def shipped(annotation: Annotation) -> Shipped:  # noqa: C901, PLR0911, PLR0912  # one case for each form
    """Return an annotation as strings and tuples; `from_shipped` gives an equal one back."""
    match annotation:
        case Word(name):
            return name
        case OrNone(inner):
            return ("optional", shipped(inner))
        case ListOf(items):
            return ("list", shipped(items))
        case SetOf(items):
            return ("set", shipped(items))
        case IteratorOf(items):
            return ("iterator", shipped(items))
        case DictOf(values, keys):
            return ("dict", shipped(values)) if keys == ANY else ("dict", shipped(values), shipped(keys))
        case TupleOf(items):
            return ("tuple", *map(shipped, items))
        case TupleOfAnyLength(items):
            return ("tuple*", shipped(items))
        case Record(kind, name, fields):
            written = tuple((field, shipped(inner)) for field, inner in fields)
            return ("dataclass", name, written) if kind == "dataclass" else ("record", kind, name, written)
        case Either(members):
            return ("either", *map(shipped, members))
        case OneOf(values):
            return ("literal", *values)
        case EnumOf(name):
            return ("enum", name)
        case Columns(columns, inner):
            return ("columns", columns, shipped(inner))
        case StoredAs(format, name, inner):
            return ("out", format, name, shipped(inner))
    assert_never(annotation)


def from_shipped(form: Shipped) -> Annotation:  # noqa: C901, PLR0911, PLR0912  # one case for each form
    """Return the annotation that a shipped form stands for.

    Raises:
        ValueError: The form is of a later version.
    """
    match form:
        case str(name):
            return Word(name)
        case ("optional", inner):
            return OrNone(from_shipped(inner))
        case ("list", items):
            return ListOf(from_shipped(items))
        case ("set", items):
            return SetOf(from_shipped(items))
        case ("iterator", items):
            return IteratorOf(from_shipped(items))
        case ("dict", values):
            return DictOf(from_shipped(values))
        case ("dict", values, keys):
            return DictOf(from_shipped(values), from_shipped(keys))
        case ("tuple", *items):
            return TupleOf(tuple(map(from_shipped, items)))
        case ("tuple*", items):
            return TupleOfAnyLength(from_shipped(items))
        case ("dataclass", name, fields):
            return Record("dataclass", name, _fields(fields))
        case ("record", kind, name, fields):
            return Record(kind, name, _fields(fields))
        case ("either", *members):
            return Either(tuple(map(from_shipped, members)))
        case ("literal", *values):
            return OneOf(tuple(values))
        case ("enum", name):
            return EnumOf(name)
        case ("columns", columns, inner):
            return Columns(tuple(columns), from_shipped(inner))
        case ("out", format, name, inner):
            return StoredAs(format, name, from_shipped(inner))
    raise ValueError(f"an annotation was shipped in a form that is unknown here, {form!r}; upgrade lucas-storage")


def _fields(fields: tuple[tuple[str, Shipped], ...]) -> tuple[tuple[str, Annotation], ...]:
    return tuple((name, from_shipped(inner)) for name, inner in fields)
