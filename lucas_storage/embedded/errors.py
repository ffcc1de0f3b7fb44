"""Errors of the embedded engine, beside builtin ones, and their messages."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


HOW_TO_GET_LUCAS = (
    "clone https://github.com/Xdydy/Lucas and 'pip install -e' the clone, and scripts run on it from then on"
)


class MissingInputError(KeyError):
    """A workflow reads an input by `[name]` that the run was not given."""

    def __str__(self) -> str:
        """Return the message itself: `KeyError` would show it quoted, as if it were the key."""
        return str(self.args[0])


class UnknownFunctionError(ValueError):
    """A call names a function that is not registered."""


def needs_genuine(what: str) -> str:
    """Return the message for a feature that only genuine Lucas has."""
    return f"{what} needs genuine Lucas, and this is the engine that lucas-storage brings; {HOW_TO_GET_LUCAS}"


def missing_input(workflow: str, name: str, given: Iterable[object]) -> MissingInputError:
    """Return the error for input `name`; only names are shown, never values."""
    return MissingInputError(
        f"The workflow {workflow!r} needs the input {name!r}, which this run lacks. It was given {listed(given)}."
    )


def unknown_function(name: str, known: Iterable[str]) -> UnknownFunctionError:
    """Return the error for a call of `name`, with the known names and the one that was probably meant."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UnknownFunctionError(f"No function is registered as {name!r}. Registered are {listed(names)}.{hint}")


def listed(names: Iterable[object]) -> str:
    """Return names as a readable list."""
    return ", ".join(repr(name) for name in names) or "none"
