"""Sets a context variable for the duration of a block."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Generic, TypeVar

T = TypeVar("T")


def bound(variable: ContextVar[T], value: T) -> AbstractContextManager[None]:
    """Set a context variable within the block, for this thread or task and for those that copy its context."""
    return Bound(variable, value)


class Bound(AbstractContextManager[None], Generic[T]):
    """The block of `bound`, for one use.

    A class and no generator, which would take twice as long: every step of a workflow enters some of them.
    """

    __slots__ = ("_token", "_value", "_variable")

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable = variable
        self._value = value

    def __enter__(self) -> None:
        self._token: Token[T] = self._variable.set(self._value)

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._token)
