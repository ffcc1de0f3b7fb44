"""The form in which annotations are shipped.

A worker has the annotation without the types that it names, so a shipped contract holds strings and tuples alone::

    shipped = word                        any ref bytes str path binaryio ndarray table dataframe polars
                                          textio lazyframe dataset, and int float bool of keys
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
            | ("made", name, shipped)     a type of the standard library that is made of another one
            | ("out", format, name, shipped)  a result with options

The forms of a class name it with a label, by which the function's own classes are found: a class that data names is
never imported.
"""

from __future__ import annotations

from typing import Any, TypeAlias, assert_never

from .annotation import (
    ANY,
    Annotation,
    Columns,
    DictOf,
    Either,
    EnumOf,
    IteratorOf,
    ListOf,
    Made,
    OneOf,
    OrNone,
    Record,
    SetOf,
    StoredAs,
    TupleOf,
    TupleOfAnyLength,
    Word,
)

Shipped: TypeAlias = "str | tuple[Any, ...]"


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
        case Made(type, inner):
            return ("made", type, shipped(inner))
        case StoredAs(format, name, inner):
            return ("out", format, name, shipped(inner))
    assert_never(annotation)


def from_shipped(form: Shipped) -> Annotation:  # noqa: C901, PLR0911, PLR0912  # one case for each form
    """Return the annotation that a shipped form stands for.

    Raises:
        ValueError: The form is of a later version.
    """
    match form:
        case "any":
            return ANY
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
        case ("made", type, inner):
            return Made(type, from_shipped(inner))
        case ("out", format, name, inner):
            return StoredAs(format, name, from_shipped(inner))
    raise ValueError(f"an annotation was shipped in a form that is unknown here, {form!r}; upgrade lucas-storage")


def _fields(fields: tuple[tuple[str, Shipped], ...]) -> tuple[tuple[str, Annotation], ...]:
    return tuple((name, from_shipped(inner)) for name, inner in fields)
