"""A fault that lasts until it is ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self


class Fault:
    """A fault; leaving its ``with`` block ends it. Any thread may call it.

    Args:
        heal: Ends it; called once.
    """

    def __init__(self, heal: Callable[[], object] = lambda: None) -> None:
        self._heal: Callable[[], object] | None = heal

    def end(self) -> None:
        """End the fault; a second time nothing happens."""
        heal, self._heal = self._heal, None
        if heal is not None:
            heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
