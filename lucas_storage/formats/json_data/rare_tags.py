"""Values of JSON data in which few tags are, read level by level after a fast parser.

A parser that calls Python for each dict is the quicker one where most of the data are tags.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain, islice
from typing import Any

from .plain_data import of_kind, types_in


class RareTags:
    """Reads tags in data that a parser has made, and changes it in place.

    Args:
        read: Returns the value of a dict that is a tag, else the dict.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[dict[str, Any]], Any]) -> None:
        self._read = read

    def value(self, parsed: Any) -> Any:
        """Return the value that parsed data stands for; raises what `read` does."""
        (value,) = self._level([parsed])
        return value

    def _level(self, items: list[Any]) -> list[Any]:
        """Return the values of one level; the same list if there is no dict among them."""
        kinds = types_in(items)
        if list in kinds:
            self._fill_lists(of_kind(items, kinds, list))
        if dict not in kinds:
            return items
        self._fill_dicts(of_kind(items, kinds, dict))
        return [self._read(item) if type(item) is dict else item for item in items]

    def _fill_lists(self, lists: Collection[list[Any]]) -> None:
        inner = list(chain.from_iterable(lists))
        values = self._level(inner)
        if values is inner:
            return
        each = iter(values)
        for one in lists:
            one[:] = islice(each, len(one))

    def _fill_dicts(self, dicts: Collection[dict[str, Any]]) -> None:
        inner = list(chain.from_iterable(map(dict.values, dicts)))
        values = self._level(inner)
        if values is inner:
            return
        each = iter(values)
        for one in dicts:
            one.update(zip(one, each, strict=False))  # the keys end first
