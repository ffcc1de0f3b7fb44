"""Exit codes of commands, by the class of the error."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lucas_storage.cli.quiet_end import INTERRUPTED

FAILED: Final = 1
DIFFERENT: Final = 1
"""What `diff` found; it fails with another code."""
BROKEN_PIPE: Final = 141

_CHOSEN: Final = "exit_code"
"""Attribute of an error whose exit code is not that of its class."""

MEANINGS: Final = {
    0: "done",
    FAILED: "the operation failed, or some of several did",
    2: "the command line or a setting is wrong",
    3: "what was named does not exist",
    4: "permission was denied",
    5: "the server cannot be reached",
    6: "it exists already, or is not as it must be",
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
    return next((code for code, classes in _classes() if isinstance(error, classes)), FAILED)


def _classes() -> Iterator[tuple[int, tuple[type[Exception], ...]]]:
    """Yield exit codes with the classes of errors that they are for, the first of which that fits counts."""
    # A command that succeeds, and one that prints its help, need no errors.
    from actorc.storage.errors import (  # noqa: PLC0415
        AlreadyExistsError,
        InvalidParameterError,
        NetworkError,
        NotFoundError,
        PreconditionFailedError,
    )

    yield 2, (InvalidParameterError, NotADirectoryError, IsADirectoryError)
    yield 3, (NotFoundError, FileNotFoundError)
    yield 4, (builtins.PermissionError,)
    yield 5, (NetworkError,)
    yield 6, (AlreadyExistsError, PreconditionFailedError, FileExistsError)
