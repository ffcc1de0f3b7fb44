"""Search and replacement of Lambdas in nested lists, tuples and dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucas_storage.embedded.workflow.ld import Lambda

if TYPE_CHECKING:
    from collections.abc import Callable

# Exactly these types: a subclass, such as a named tuple or a default dict, has a constructor of its own.
CONTAINERS = (list, tuple, dict)


def lambdas_in(value: Any) -> list[Lambda]:
    """Return the distinct Lambdas in `value`, which may be one itself; dict keys are not searched."""
    found: dict[Lambda, None] = {}
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Lambda):
            found[item] = None
        elif type(item) in CONTAINERS and id(item) not in seen:
            seen.add(id(item))
            pending.extend(item.values() if isinstance(item, dict) else item)
    return list(found)


def filled(value: Any, value_of: Callable[[Lambda], Any]) -> Any:
    """Return `value` with `value_of(ld)` in place of every Lambda; a value without Lambdas stays the same object."""
    if isinstance(value, Lambda):
        return value_of(value)
    if type(value) not in CONTAINERS or not lambdas_in(value):
        return value
    if isinstance(value, dict):
        return {key: filled(item, value_of) for key, item in value.items()}
    return type(value)(filled(item, value_of) for item in value)
