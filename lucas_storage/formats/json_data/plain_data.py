"""Plain data: what every JSON encoder and reader gives back equal, and of the same types.

Exactly None, bool, short ints, finite floats, str without lone surrogates, and lists and dicts with str keys of these,
by type and not by subclass. Encoders are not believed about types: most of them write NaN as null, tuples as lists and
int keys as text, so `is_exact` decides before any of them sees a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import chain
from typing import Any, Final

from actorc.storage.rules import is_utf8
from lucas_storage.limits import INT_BITS, JSON_DEPTH

SCALARS: Final = frozenset({bool, int, float, str, type(None)})
_NUMBERS: Final = frozenset({bool, int, float})
_MEASURED: Final = frozenset({int, float})
"""Types of which not every value is exact."""
_TEXT: Final = frozenset({str})
_EXACT: Final = SCALARS | {list, dict}
_SHORT: Final = 1 << 62
"""Ints below it need no further look."""
_MANY: Final = 32
"""Items from which on a container is judged level by level in C: a call for each item is quicker for fewer."""
_DEEP: Final = JSON_DEPTH - 10
"""Levels of room down to which containers are judged one by one: a list that holds one list twice, which holds another
one twice, has a million of them in twenty levels."""
_SHARED: Final = 16
"""Containers on one level from which on each is judged once: data that shares them would grow with every level."""


def is_exact(value: object) -> bool:
    """Return whether any JSON encoder and reader gives `value` back equal and of the same types.

    Nested at most 100 levels deep; a value that contains itself is not exact. Costs about 40 ns an item in large
    containers, and 1 µs for a dict of five scalars.
    """
    return _is_exact(value, JSON_DEPTH)


def _is_exact(value: Any, room: int) -> bool:
    kind = type(value)
    if kind is str:
        return value.isascii() or is_utf8(value)
    if kind is int:
        return -_SHORT < value < _SHORT or is_short(value)
    if kind is float:
        return math.isfinite(value)
    if kind is list or kind is dict:
        is_small = len(value) <= _MANY and room > _DEEP
        return room > 0 and (_is_small(value, room - 1) if is_small else _is_large(value, room))
    return kind is bool or value is None


def _is_small(container: Any, room: int) -> bool:
    items = container
    if type(container) is dict:
        for key in container:
            if type(key) is not str or not (key.isascii() or is_utf8(key)):
                return False
        items = container.values()
    # A loop and no generator, which would cost as much as the items.
    for item in items:  # noqa: SIM110
        if not _is_exact(item, room):
            return False
    return True


def _is_large(container: Any, room: int) -> bool:
    """Judge a container level by level, so that the work for an item is done in C."""
    level: Collection[Any] = (container,)
    for left in range(room, -1, -1):
        kinds = types_in(level)
        if not (kinds <= _EXACT and scalars_are_exact(level, kinds)):
            return False
        if kinds <= SCALARS:
            return True
        if not left or not _keys_are_exact(of_kind(level, kinds, dict)):
            return False
        level = items_of(level, kinds)
    return False


def scalars_are_exact(level: Collection[Any], kinds: set[type]) -> bool:
    """Return whether all numbers and texts among some values are exact; `kinds` are the types of all of them."""
    if not kinds.isdisjoint(_MEASURED):
        numbers = level if kinds <= _NUMBERS else [item for item in level if type(item) in _MEASURED]
        if not _numbers_are_exact(numbers):
            return False
    return str not in kinds or texts_are_exact(of_kind(level, kinds, str))


def _numbers_are_exact(numbers: Collection[Any]) -> bool:
    # One pass in C: a sum of floats is finite only if all of them are, and an int beyond 1024 bits overflows. A sum
    # that leaves the range of floats says nothing, and then each number is looked at.
    try:
        if math.isfinite(sum(numbers, 0.0)):
            return True
    except OverflowError:
        pass
    return all(math.isfinite(number) if type(number) is float else is_short(number) for number in numbers)


def texts_are_exact(texts: Collection[str]) -> bool:
    """Return whether UTF-8 holds all of some texts."""
    if all(map(str.isascii, texts)):
        return True
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _keys_are_exact(dicts: Collection[dict[Any, Any]]) -> bool:
    # The types of all keys, and not of those that differ: a key of a subclass of str may equal one of str.
    return types_in(chain.from_iterable(dicts)) <= _TEXT and texts_are_exact(set(chain.from_iterable(dicts)))


def is_short(number: int) -> bool:
    """Return whether every reader parses `number` in decimal."""
    return number.bit_length() <= INT_BITS


def of_kind(level: Collection[Any], kinds: set[type], kind: type) -> Collection[Any]:
    """Return the members of exactly one type; `kinds` are the types of all members."""
    if kind not in kinds:
        return ()
    return level if len(kinds) == 1 else [item for item in level if type(item) is kind]


def each_once(containers: Collection[Any]) -> Collection[Any]:
    """Return containers without those that are the same object, where there are many."""
    return containers if len(containers) < _SHARED else dict(zip(map(id, containers), containers, strict=True)).values()


def items_of(level: Collection[Any], kinds: set[type]) -> Collection[Any]:
    """Return the items of all lists and the values of all dicts on a level, the level beneath it."""
    if len(level) == 1:
        (only,) = level
        return only if type(only) is list else only.values() if type(only) is dict else ()
    lists, dicts = (each_once(of_kind(level, kinds, kind)) for kind in (list, dict))
    return list(chain(chain.from_iterable(lists), chain.from_iterable(map(dict.values, dicts))))


def floats_in(value: object) -> list[float]:
    """Return the floats at any depth of exact data, in no order; those of a shared container once or more often."""
    found: list[float] = []
    level: Collection[Any] = (value,)
    while level:
        kinds = types_in(level)
        found.extend(of_kind(level, kinds, float))
        level = items_of(level, kinds)
    return found


def copier(value: Any, text: bytes) -> Callable[[Any], Any]:
    """Return what makes deep copies of exact data: all containers are new, and scalars are the same objects.

    A container that stands in two places becomes two. A copy costs one pass at the speed of C.

    Args:
        value: Exact data; what is returned copies this and what is equal to it.
        text: Its JSON, of which the brackets tell whether containers are within others.
    """
    # Brackets within texts are counted, too, so there are never fewer of them than containers.
    lists, dicts = text.count(b"["), text.count(b"{")
    if type(value) is list:
        if (lists, dicts) == (1, 0):
            return list.copy
        # The commonest tables, lists of lists and of dicts: a call for each row would cost more than its copy.
        if (lists, dicts) == (1 + len(value), 0) and types_in(value) == {list}:
            return partial(_copied_rows, list.copy)
        if (lists, dicts) == (1, len(value)) and types_in(value) == {dict}:
            return partial(_copied_rows, dict.copy)
    return copied


def copied(value: Any) -> Any:
    """Return a deep copy of exact data, as `copier` makes them, without its text."""
    kind = type(value)
    if kind is list:
        return value.copy() if _are_scalars(value) else list(map(copied, value))
    if kind is dict:
        if _are_scalars(value.values()):
            return value.copy()
        return {key: copied(item) for key, item in value.items()}
    return value


def _copied_rows(copy: Callable[[Any], Any], rows: list[Any]) -> list[Any]:
    return list(map(copy, rows))


def _are_scalars(items: Iterable[Any]) -> bool:
    return types_in(items) <= SCALARS


def types_in(items: Iterable[Any]) -> set[type]:
    """Return the types of some items; of items of one type, in two thirds of the time of `set(map(type, items))`."""
    types = list(map(type, items))
    if types and types.count(types[0]) == len(types):
        return {types[0]}
    return set(types)


def is_larger(value: object, count: int) -> bool:
    """Return whether exact data has more than `count` items, counted at all depths; looks at no more than that."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if type(item) is not list and type(item) is not dict:
            continue
        count -= len(item)
        if count < 0:
            return True
        waiting.extend(item.values() if type(item) is dict else item)
    return False
