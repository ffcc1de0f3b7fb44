"""The constructs of `typing` that are no classes: unions, literals, and what surrounds a type."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from types import NoneType
from typing import Any, Final, TypeAlias

from lucas_storage.values.in_options import In
from lucas_storage.values.out_options import Out

from .annotation import ANY, Annotation, Columns, OneOf, OrNone, StoredAs, Word
from .forms import or_none, union
from .scope import Scope
from .text import called, literal

Arguments: TypeAlias = tuple[Any, ...]
Read: TypeAlias = Callable[[Scope, Any], Annotation]
"""Reads an annotation within another one."""
Construct: TypeAlias = Callable[[Scope, Arguments, Read], Annotation]
_CALLED: Final[dict[str, type]] = {"In": In, "Out": Out}
_TABLES: Final = frozenset(map(Word, ("dataframe", "table", "polars", "lazyframe", "dataset")))
"""Types of which some columns can be read."""


def construct(head: Any) -> Construct | None:
    """Return the reader of a construct of `typing`; None for any other head."""
    # By name, since those of `typing_extensions` are other objects.
    if getattr(head, "__module__", None) not in ("typing", "typing_extensions", "types", "dataclasses"):
        return None
    return _CONSTRUCTS.get(getattr(head, "_name", None) or getattr(head, "__name__", None))


def _annotated(scope: Scope, args: Arguments, read: Read) -> Annotation:
    annotation = read(scope, args[0])
    for extra in (called(arg, scope.names, known=_CALLED) for arg in args[1:]):
        if extra is Out and scope.is_result:
            raise TypeError('Out is an option to fill in; write Out("parquet") or Out(name="features")')
        if isinstance(extra, Out) and scope.is_result:
            return StoredAs(extra.format, extra.name, annotation)
        if extra is In:
            raise TypeError('In is an option to fill in; write In(columns=["name"])')
        if isinstance(extra, In):
            return _columns(scope, tuple(extra.columns), annotation)
    return annotation


def _columns(scope: Scope, columns: tuple[str, ...], annotation: Annotation) -> Annotation:
    if scope.is_result:
        return scope.refuse(", and In is for parameters", "write Out, or select the columns before they are returned")
    if isinstance(annotation, OrNone):
        return or_none(_columns(scope, columns, annotation.inner))
    if annotation not in _TABLES:
        return scope.refuse(", which has no columns", "annotate pd.DataFrame, pl.DataFrame, pl.LazyFrame or pa.Table")
    return Columns(columns, annotation)


def _union(scope: Scope, args: Arguments, read: Read) -> Annotation:
    heads = [scope.parts(arg)[0] for arg in args]
    members = [read(scope, arg) for arg, head in zip(args, heads, strict=True) if head is not NoneType]
    return union(members, nullable=NoneType in heads)


def _optional(scope: Scope, args: Arguments, read: Read) -> Annotation:
    return or_none(_first(scope, args, read))


def _literal(scope: Scope, args: Arguments, _: Read) -> Annotation:
    try:
        values = [value for arg in args for value in _literals(literal(arg, scope.names))]
    except LookupError as error:
        return scope.refuse(f", of which {error} is not known here", "write the values themselves")
    known = tuple(value for value in values if value is not None)
    if not all(type(value) in (str, int, bool, bytes) for value in known):
        return scope.refuse(", and members of enumerations travel with their class", "write the enumeration")
    return or_none(OneOf(known)) if None in values else OneOf(known)


def _literals(value: Any) -> Iterator[Any]:
    # `Literal[A, "c"]`, where A is a Literal itself.
    nested = typing.get_args(value) if typing.get_origin(value) is typing.Literal else None
    yield from (value,) if nested is None else nested


def _io(scope: Scope, args: Arguments, _: Read) -> Annotation:
    words = {bytes: Word("binaryio"), str: Word("textio")}
    word = words.get(scope.parts(args[0])[0]) if args else None
    if word is None and not scope.is_result:
        return scope.refuse(", which leaves open whether it is read as bytes or as text", "write BinaryIO or TextIO")
    return word or ANY


def _first(scope: Scope, args: Arguments, read: Read) -> Annotation:
    return read(scope, args[0]) if args else ANY


def _class_variable(scope: Scope, _: Arguments, __: Read) -> Annotation:
    return scope.refuse(", which is for the bodies of classes", "write the type alone")


def unpacked(scope: Scope, _: Arguments = (), __: Read | None = None) -> Annotation:
    """Read ``*tuple[int, ...]`` within other arguments."""
    return scope.refuse(", and its parts are not told apart", "write each of them, or one type for all")


_CONSTRUCTS: Final[dict[str | None, Construct]] = {
    "Annotated": _annotated,
    "ClassVar": _class_variable,
    "Final": _first,
    "IO": _io,
    "InitVar": _first,
    "Literal": _literal,
    "NotRequired": _first,
    "Optional": _optional,
    "ReadOnly": _first,
    "Required": _first,
    "Union": _union,
    "UnionType": _union,
    "Unpack": unpacked,
}
