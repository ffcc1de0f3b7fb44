"""The limit on the size of a message: what would exceed it is refused before it is sent."""

from __future__ import annotations

from typing import Final

from actorc.controller.errors import MessageTooLargeError

from .messages import MAX_MESSAGE_SIZE

_ENVELOPE_SIZE: Final = 4 << 10
"""Bytes of a message around its one large field: names, ids and their lengths."""


def check_size(field: bytes, what: str, function: str) -> None:
    """Check that a message can carry the bytes of a function or an argument.

    Args:
        field: The bytes.
        what: Names them in the error.
        function: Name of the function that they belong to.

    Raises:
        MessageTooLargeError: They are too many.
    """
    size = len(field)
    if size > MAX_MESSAGE_SIZE - _ENVELOPE_SIZE:
        raise MessageTooLargeError(
            f"{what} has {size / (1 << 20):,.0f} MiB, and a message carries {MAX_MESSAGE_SIZE >> 20}; with "
            "@with_storage on the functions, references are passed instead",
            size=size,
            function=function,
        )
