"""Local paths on the command line, whose errors have the same exit codes as those of commands."""

from __future__ import annotations

import os
from typing import Any

import click

from lucas_storage.cli.output.exit_codes import exit_code

_USAGE = 2


class LocalPath(click.Path):
    """A `click.Path` that fails with 3 for a path that does not exist and with 4 for one that may not be read.

    All else that `click.Path` refuses, such as a file where a directory is needed, is a wrong command line, which is 2.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, checked."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            error.__dict__["exit_code"] = _exit_code(value)  # set so, since click declares it of the class
            raise


def _exit_code(path: str | os.PathLike[str]) -> int:
    try:
        os.stat(path)  # noqa: PTH116  # its error tells why
    except NotADirectoryError:  # there is nothing below a file
        return exit_code(FileNotFoundError())
    except (OSError, ValueError) as error:
        return exit_code(error)
    return _USAGE if os.access(path, os.R_OK) else exit_code(PermissionError())
