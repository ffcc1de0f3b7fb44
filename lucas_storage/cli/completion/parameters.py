"""Completion of arguments, by kind; candidates are imported when a shell asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Complete: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]"


def _by(name: str) -> Complete:
    """Return the completion by a function of `candidates`, silent whatever happens: nobody asked for an error."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        del param
        from . import candidates  # noqa: PLC0415  # a command that runs needs none

        try:
            found: list[CompletionItem[str]] = getattr(candidates, name)(ctx, incomplete)
        except Exception:  # noqa: BLE001  # a message would be drawn into the line that is being typed
            return []
        # No shell takes the others, and a line break would begin another candidate. An object has a URI for that.
        return [each for each in found if each.type != "plain" or each.value.isprintable()]

    return complete


BUCKETS: Final = _by("buckets")
"""Names of buckets."""
OBJECTS: Final = _by("objects")
"""Buckets, prefixes and objects, with ``lucas://`` or without."""
PLACES: Final = _by("places")
"""Local files, and everything with ``lucas://``."""
RUNS: Final = _by("runs")
"""Ids of runs."""
STEPS: Final = _by("steps")
"""Functions of the steps of the run that is named before."""
NAMES: Final = _by("names")
"""Names under which artifacts are published."""
