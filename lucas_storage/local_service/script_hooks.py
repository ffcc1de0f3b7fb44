"""Functions that other packages register to run before a script, by entry points."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .notes import note

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BEFORE_SCRIPTS: Final = "lucas_storage.before_scripts"
"""Group of entry points, each a function of one argument: whether `lucas` is the embedded engine."""


def before_scripts() -> list[Callable[[bool], object]]:
    """Import the functions that other packages register to run before a script, and return them.

    The caller calls them when `lucas` can be imported, with whether that is the embedded engine. One that cannot be
    loaded is reported in a line on standard error, and left out.
    """
    # Loads a parser of mail, which nothing else here needs.
    from importlib.metadata import entry_points  # noqa: PLC0415

    # Imported before the script begins: an error of another package is reported here and not in the user's traceback.
    found: list[Callable[[bool], object]] = []
    for point in entry_points(group=BEFORE_SCRIPTS):
        try:
            found.append(point.load())
        except (Exception, SystemExit) as error:  # noqa: BLE001  # another package's code, at its import
            note(unusable(point, "part of run", error))
    return found


def unusable(point: EntryPoint, what: str, error: BaseException) -> str:
    """Return why an entry point of another package cannot be used, and what to do."""
    package = point.dist.name if point.dist else point.value
    reason = " ".join(str(error).split())
    return (
        f"the {what} {point.name!r} of {package} cannot be loaded, {type(error).__name__} ({reason}); "
        f"install {package} anew, or remove it"
    )
