"""How commands fail: one clear line on standard error, and an exit code that means something."""

from __future__ import annotations

import builtins
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from actorc.storage.errors import (
    AlreadyExistsError,
    InvalidParameterError,
    NetworkError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)

FAILED: Final = 1
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

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
def reported(*, debug: bool) -> Iterator[None]:
    """Turn what the body raises into a line on standard error and an exit code; `debug` adds the traceback."""
    try:
        yield
        sys.stdout.flush()
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _forget_output()
        raise click.exceptions.Exit(BROKEN_PIPE) from None
    except Exception as error:  # noqa: BLE001  # a person at a terminal has no use for a traceback
        if debug:
            traceback.print_exc()
        click.echo(f"lucas-storage: {line(error)}", err=True)
        raise click.exceptions.Exit(exit_code(error)) from None


def exit_code(error: Exception) -> int:
    """Return the exit code that stands for an error."""
    return next((code for code, _, classes in _CODES if isinstance(error, classes)), FAILED)


def line(error: Exception) -> str:
    """Return what a person should know of an error."""
    if isinstance(error, StorageError):
        return str(error)
    if isinstance(error, OSError):
        named = error.filename is not None and error.strerror
        return f"{os.fsdecode(error.filename)}: {error.strerror}" if named else str(error)
    return f"a defect of this program, {type(error).__name__} ({error}); run 'lucas-storage --debug …' and report it"


def _forget_output() -> None:
    # The interpreter flushes standard output once more at its end, and would complain there.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
