"""Copies of built-in containers of what never changes, at the speed of C where they are as regular as tables."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any, Final

from lucas_storage.containers import BUILT_IN
from lucas_storage.refs import TAG

from .unchanging import UNCHANGING, are_unchanging, is_unchanging

_MAPPINGS: Final = frozenset({dict, OrderedDict, defaultdict, Counter})
_UNCHANGING_COLLECTIONS: Final = frozenset({tuple, frozenset})
_ROWS: Final = frozenset({list, dict, set, tuple, frozenset})
_UNDER_WAY: Final = object()


class HoldsItselfError(RecursionError):
    """A container is within itself, so that no recursion through it ends."""


class MayReferError(ValueError):
    """A dict may be a reference."""


class DataCopy:
    """Copies one value: each container in it once, so that what stands in several places stays one object."""

    __slots__ = ("_made", "has_others")

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}
        self.has_others = False
        """Whether there was something else than containers and what never changes, which is not copied."""

    def of(self, container: Any) -> Any:
        """Return a copy of a built-in container, itself if nothing in it can be changed.

        Raises:
            HoldsItselfError: It is within itself, by way of containers alone.
            MayReferError: A dict in it has the key of references.
            RecursionError: It is nested too deep for this way.
        """
        key = id(container)
        made = self._made.get(key)
        if made is not None:
            if made is _UNDER_WAY:
                raise HoldsItselfError
            return made
        self._made[key] = _UNDER_WAY
        copy = self._mapping(container) if type(container) in _MAPPINGS else self._collection(container)
        self._made[key] = copy
        return copy

    def _collection(self, items: Any) -> Any:
        kind = type(items)
        kinds = set(map(type, items))
        if _never_change(kinds):
            return items if kind in _UNCHANGING_COLLECTIONS else items.copy()
        each = self._each(items, kinds)
        return deque(each, items.maxlen) if kind is deque else kind(each)

    def _mapping(self, given: Any) -> Any:
        if TAG in given:
            raise MayReferError
        key_kinds, kinds = set(map(type, given)), set(map(type, given.values()))
        if type(given) is OrderedDict and vars(given):
            self.has_others = True
        have_own_keys = not _never_change(key_kinds)
        if not have_own_keys and _never_change(kinds):
            return given.copy()
        keys = self._each(list(given), key_kinds) if have_own_keys else given
        return _remade(given, zip(keys, self._each(given.values(), kinds), strict=True))

    def _each(self, items: Collection[Any], kinds: set[type]) -> Iterable[Any]:
        if BUILT_IN.isdisjoint(kinds):
            self.has_others = self.has_others or not _never_change(kinds)
            return items
        rows = self._rows(items, *kinds) if len(items) > 1 and len(kinds) == 1 else None
        return [item if type(item) in UNCHANGING else self._item(item) for item in items] if rows is None else rows

    def _item(self, item: Any) -> Any:
        if type(item) in BUILT_IN:
            return self.of(item)
        self.has_others = self.has_others or not is_unchanging(type(item))
        return item

    def _rows(self, rows: Collection[Any], kind: Any) -> Collection[Any] | None:
        """Return copies of containers of one type that hold what never changes, as rows do; None of others."""
        items = chain.from_iterable(map(dict.values, rows) if kind is dict else rows)
        if kind not in _ROWS or not _never_change(set(map(type, items))):
            return None
        if kind in _UNCHANGING_COLLECTIONS:
            return rows
        if kind is dict and not _may_be_keys(chain.from_iterable(rows)):
            return None
        each_once = {id(row): row for row in rows}
        if len(each_once) < len(rows) or not self._made.keys().isdisjoint(each_once):
            return None
        copies = list(map(kind.copy, rows))
        self._made.update(zip(each_once, copies, strict=True))
        return copies


def _may_be_keys(keys: Iterable[Any]) -> bool:
    """Return whether keys never change, and none is the key of a reference."""
    found = set(keys)
    return TAG not in found and _never_change(set(map(type, found)))


def _never_change(kinds: set[type]) -> bool:
    # Containers first, since to find out that a class is none of any package takes longest.
    return kinds <= UNCHANGING or (BUILT_IN.isdisjoint(kinds) and are_unchanging(kinds))


def _remade(like: Any, pairs: Iterable[tuple[Any, Any]]) -> Any:
    """Return a mapping of the type of another one."""
    kind = type(like)
    if kind is defaultdict:
        return defaultdict(like.default_factory, pairs)
    return Counter(dict(pairs)) if kind is Counter else kind(pairs)
