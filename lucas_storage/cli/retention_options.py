"""The options that say what collections keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import click

_Command: TypeAlias = Callable[..., Any]


def retention_options(command: _Command) -> _Command:
    """Give a command ``--keep-days`` and ``--keep-last``, which `lucas_storage.gc.policy.policy_of` takes."""
    # Their ranges are checked there, with all else that a policy may hold.
    for option in (
        click.option(
            "--keep-last",
            metavar="[NAMES=]N",
            multiple=True,
            help="Keep the last N publications of each name, or 'all'; NAMES is a glob such as 'model-*', and the "
            "first that matches a name is the name's. May be given several times.",
        ),
        click.option(
            "--keep-days",
            type=int,
            metavar="DAYS",
            help="Keep what runs of the last so many days used, made, or need to be resumed and replayed.",
        ),
    ):
        command = option(command)
    return command
