"""One function called for many items, several calls at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE: Final = 8
"""Calls at the same time; each moves an artifact or a record, and mostly waits for a store."""


def each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what `function` returns for each item, in order, once all calls have ended.

    Calls run on threads that end with this one, each in a copy of the caller's context; a single call runs at once. If
    one fails, those that have not begun are not made, and the first error in order is raised.
    """
    waiting = list(items)
    if len(waiting) < 2:
        return [function(item) for item in waiting]
    with ThreadPoolExecutor(min(AT_ONCE, len(waiting)), "lucas-storage") as pool:
        futures = [pool.submit(copy_context().run, function, item) for item in waiting]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # the end of the block waits for those that run
            raise
