"""Sets a context variable for the duration of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def bound(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Set a context variable within the block, for this thread or task and for those that copy its context."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
