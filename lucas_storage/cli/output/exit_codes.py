"""Exit codes of commands, by the class of the error."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actorc.storage.errors import (
    AlreadyExistsError,
    InvalidParameterError,
    NetworkError,
    NotFoundError,
    PreconditionFailedError,
)

FAILED: Final = 1
DIFFERENT: Final = 1
"""What `diff` found; it fails with another code."""
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

_CHOSEN: Final = "exit_code"
"""Attribute of an error whose exit code is not that of its class."""

_CODES: Final[tuple[tuple[int, str, tuple[type[Exception], ...]], ...]] = (
    (2, "the command line or a setting is wrong", (InvalidParameterError,)),
    (3, "what was named does not exist", (NotFoundError, FileNotFoundError)),
    (4, "permission was denied", (builtins.PermissionError,)),
    (5, "the server cannot be reached", (NetworkError,)),
    (6, "it exists already, or is not as it must be", (AlreadyExistsError, PreconditionFailedError, FileExistsError)),
)

MEANINGS: Final = {
    0: "done",
    FAILED: "the operation failed, or some of several did",
    **{code: meaning for code, meaning, _ in _CODES},
    INTERRUPTED: "interrupted",
    BROKEN_PIPE: "nobody reads standard output any more",
}

EXPLANATION: Final = "\n".join(["\b", "Exit codes", *(f"  {code:<3}  {meaning}" for code, meaning in MEANINGS.items())])


@contextmanager
def failing_with_2() -> Iterator[None]:
    """Let errors of the body end the command with 2 where they would with 1, which has another meaning there."""
    try:
        yield
    except Exception as error:
        if exit_code(error) == FAILED:
            error.__dict__[_CHOSEN] = 2
        raise


def exit_code(error: Exception) -> int:
    """Return the exit code for an error."""
    if _CHOSEN in error.__dict__:
        return int(error.__dict__[_CHOSEN])
    return next((code for code, _, classes in _CODES if isinstance(error, classes)), FAILED)
