"""Context variables that have a value for as long as a block runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def bound(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Give a context variable a value within the block, in this thread or task and in those that copy its context."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
