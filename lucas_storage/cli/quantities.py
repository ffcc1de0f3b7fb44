"""Sizes and lengths of time on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import click

from actorc.storage import units

T = TypeVar("T")


def _given(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return the type of an option that `read` takes from its text."""

    def given(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not {error}") from error

    return given


SIZE: Final = _given(units.size)
"""Bytes."""
DURATION: Final = _given(units.seconds)
"""Seconds."""
