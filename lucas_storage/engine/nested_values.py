"""Search and replacement of values of one class in nested lists, tuples and dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

CONTAINERS: Final = (list, tuple, dict)
"""Exactly these types are searched: a subclass, such as a named tuple or a default dict, has another constructor."""


def found_in(value: Any, kind: type[T]) -> list[T]:
    """Return the distinct objects of `kind` in `value`, which may be one itself; dict keys are not searched."""
    found: list[T] = []
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        is_one = isinstance(item, kind)
        if (is_one or type(item) in CONTAINERS) and id(item) not in seen:
            seen.add(id(item))
            if is_one:
                found.append(item)
            else:
                pending.extend(item.values() if isinstance(item, dict) else item)
    return found


def replaced(value: Any, kind: type[T], new: Callable[[T], Any]) -> Any:
    """Return `value` with `new` of each object of `kind` in its place; a value without any stays the same object."""
    if isinstance(value, kind):
        return new(value)
    if type(value) not in CONTAINERS or not found_in(value, kind):
        return value
    if isinstance(value, dict):
        return {key: replaced(item, kind, new) for key, item in value.items()}
    return type(value)(replaced(item, kind, new) for item in value)
