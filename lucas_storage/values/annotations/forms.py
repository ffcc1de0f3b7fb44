"""Containers and unions of annotations that are read already."""

from __future__ import annotations

import collections
import collections.abc
from collections.abc import Callable, Sequence
from typing import Any, Final

from .annotation import (
    ANY,
    BYTES,
    RUNTIME,
    STORAGE,
    STR,
    Annotation,
    DictOf,
    Either,
    EnumOf,
    IteratorOf,
    ListOf,
    OneOf,
    OrNone,
    SetOf,
    Word,
)
from .refusals import RefusedError

_OF_ITEMS: Final[dict[Any, Callable[[Annotation], Annotation]]] = {
    **dict.fromkeys((list, collections.deque), ListOf),
    **dict.fromkeys((collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Collection), ListOf),
    **dict.fromkeys((set, frozenset, collections.abc.Set, collections.abc.MutableSet), SetOf),
    **dict.fromkeys((collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator), IteratorOf),
}
MAPPINGS: Final = frozenset(
    {
        dict,
        collections.OrderedDict,
        collections.defaultdict,
        collections.abc.Mapping,
        collections.abc.MutableMapping,
    }
)
ASYNC_ITERATORS: Final = frozenset(
    {collections.abc.AsyncIterable, collections.abc.AsyncIterator, collections.abc.AsyncGenerator}
)
_IN_THEIR_OWN_FORMAT: Final = frozenset({ANY, BYTES, STR, Word("ndarray")})
"""Types whose values are of that type in the format in which they are stored."""
_KEYS: Final = frozenset({Word("int"), Word("float"), Word("bool")})


def has_items(head: Any) -> bool:
    """Return whether a class is a container of items of one type."""
    return isinstance(head, type) and head in _OF_ITEMS


def of_items(head: Any, items: Annotation) -> Annotation:
    """Return the annotation of a container of items."""
    kind = _OF_ITEMS[head]
    # A list of anything is a value like any other; a set may have travelled as a list, and an iterator is loaded apart.
    return ANY if kind is ListOf and items == ANY else kind(items)


def mapping(values: Annotation, keys: Annotation) -> Annotation:
    """Return the annotation of a dict; of its keys, only those count that JSON makes text."""
    told = keys if keys in _KEYS or isinstance(keys, (EnumOf, OneOf)) else ANY
    return ANY if values == told == ANY else DictOf(values, told)


def or_none(annotation: Annotation) -> Annotation:
    """Return the annotation of the same value, or None in its place."""
    return annotation if annotation == ANY or isinstance(annotation, OrNone) else OrNone(annotation)


def union(members: Sequence[Annotation], *, nullable: bool) -> Annotation:
    """Return the annotation of one of several types, and None if it is `nullable`.

    Raises:
        RefusedError: One of several is filled in by the decorator.
    """
    # Those of aliases for unions count one by one.
    nullable = nullable or any(isinstance(member, OrNone) for member in members)
    flat = [inner for member in members for inner in _members(member.inner if isinstance(member, OrNone) else member)]
    distinct = list(dict.fromkeys(flat))
    if len(distinct) > 1 and not {STORAGE, RUNTIME}.isdisjoint(distinct):
        raise RefusedError(", of which one is filled in and the other is not", "take two parameters")
    if len(distinct) == 1:
        only = distinct[0]
    else:
        only = ANY if _IN_THEIR_OWN_FORMAT.issuperset(distinct) else Either(tuple(distinct))
    return or_none(only) if nullable else only


def _members(annotation: Annotation) -> tuple[Annotation, ...]:
    return annotation.members if isinstance(annotation, Either) else (annotation,)
