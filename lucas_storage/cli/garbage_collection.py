"""How often this process looks for garbage: hardly ever for a command, as Python has it for the script of a user."""

from __future__ import annotations

import atexit
import gc

TYPE_CHECKING = False  # not that of `typing`, which is to be loaded after `make_rare`
if TYPE_CHECKING:
    from typing import Final

_USUAL: Final = gc.get_threshold()
_LOADED: Final = 50_000
"""New objects until the next search; twice as many as a command has once all that it needs is loaded."""


def make_rare() -> None:
    """Search rarely: what is loaded is no garbage, and looking through it takes a fifteenth of a short command.

    And not at the end, where the interpreter does so several times, which takes a fifth.
    """
    gc.set_threshold(_LOADED, *_USUAL[1:])
    atexit.register(gc.freeze)


def make_usual() -> None:
    """Search as often as if `make_rare` had not been called."""
    gc.set_threshold(*_USUAL)
    atexit.unregister(gc.freeze)
