"""Annotations as workers of the first version read them, which ignored all others."""

from __future__ import annotations

from typing import Final

from .annotation import (
    ANY,
    Annotation,
    DictOf,
    IteratorOf,
    ListOf,
    Made,
    OrNone,
    Record,
    SetOf,
    StoredAs,
    TupleOf,
    TupleOfAnyLength,
    Word,
)

_WORDS: Final = frozenset(
    {"any", "ref", "bytes", "str", "path", "binaryio", "ndarray", "table", "dataframe", "polars", "storage", "runtime"}
)


def in_first_version(annotation: Annotation, *, of_result: bool = False) -> Annotation:
    """Return the annotation in the forms of the first version: the same, or with ``any`` in the place of later forms.

    Args:
        annotation: Any annotation.
        of_result: Whether it is that of a result, where the first version did not read classes either.
    """
    return _Reader(of_result=of_result)(annotation)


class _Reader:
    def __init__(self, *, of_result: bool) -> None:
        self._of_result = of_result

    def __call__(self, annotation: Annotation) -> Annotation:  # noqa: PLR0911  # one case for each form
        match annotation:
            case Word(name):
                return annotation if name in _WORDS else ANY
            case OrNone(inner) | ListOf(inner) | DictOf(inner):
                # None, lists and dicts of anything were values like any other.
                return ANY if self(inner) == ANY else type(annotation)(self(inner))
            case Made(inner=inner):
                return self(inner)
            case SetOf(items) | IteratorOf(items) | TupleOfAnyLength(items):
                return type(annotation)(self(items))
            case TupleOf(items):
                return TupleOf(tuple(map(self, items)))
            case Record("dataclass", name, fields) if not self._of_result:
                return Record("dataclass", name, tuple((field, self(inner)) for field, inner in fields))
            case StoredAs(format, name, inner):
                return StoredAs(format, name, self(inner))
            case _:
                return ANY
