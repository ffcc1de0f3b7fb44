"""Annotations that no step can honour, and those to write instead."""

from __future__ import annotations

import collections
import collections.abc
import io
import os
from typing import Final


class RefusedError(Exception):
    """An annotation cannot be honoured.

    Args:
        problem: Follows the annotation in a sentence.
        remedy: What to write instead.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")


_READ_ONLY: Final = ", and a file arrives as a reader of its own"
_NOT_AWAITED: Final = ", and a parameter arrives as a value"
_REFUSED: Final[dict[type, tuple[str, str]]] = {
    **dict.fromkeys((io.BytesIO, io.FileIO, io.BufferedRandom, io.BufferedWriter), (_READ_ONLY, "write BinaryIO")),
    io.StringIO: (_READ_ONLY, "write TextIO"),
    collections.abc.AsyncIterable: (_NOT_AWAITED, "write Iterable"),
    collections.abc.AsyncIterator: (_NOT_AWAITED, "write Iterator"),
    collections.abc.AsyncGenerator: (_NOT_AWAITED, "write Iterator"),
    collections.abc.Awaitable: (_NOT_AWAITED, "write the type of the value"),
    collections.abc.Coroutine: (_NOT_AWAITED, "write the type of the value"),
    collections.ChainMap: (", and no value arrives as one", "write dict"),
    collections.abc.ItemsView: (", and no value arrives as one", "write dict, and take its items"),
    collections.abc.KeysView: (", and no value arrives as one", "write dict, and take its keys"),
    collections.abc.ValuesView: (", and no value arrives as one", "write dict, and take its values"),
    os.PathLike: (", and the paths of files are text", "write os.PathLike[str]"),
}
"""Classes of the standard library that no value arrives as, by problem and remedy."""


def refusal(cls: type) -> tuple[str, str] | None:
    """Return problem and remedy for a class that no value arrives as; None for any other."""
    return _REFUSED.get(cls)
