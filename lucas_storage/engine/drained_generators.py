"""Generators that steps return, as the lists that other steps get."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator


def drained(result: Any) -> Any:
    """Return a generator's items as a list, so that any number of steps can read them.

    Of a generator that yields nothing and returns something, its return value. Any other value is returned as it is.
    """
    if not isinstance(result, GeneratorType):
        return result
    returned = None

    def watched() -> Generator[Any, None, None]:
        nonlocal returned
        returned = yield from result

    items = list(watched())
    return items if items or returned is None else returned
