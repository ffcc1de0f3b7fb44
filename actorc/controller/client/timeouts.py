"""How long the client waits for what, so that it never waits for ever."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Final, Self

from actorc.controller.errors import ControllerError
from actorc.storage import units

PLATFORM_LIMIT: Final = 300.0
"""Seconds after which ignis ends a call and a fetch, whatever a client says (`configs/constants.go` of b843106)."""

_SESSION: Final = 10.0
_DEFINITION: Final = 600.0
"""Ignis gives the making of a venv, and the installation of each package, 300 seconds."""
_BEYOND_PLATFORM: Final = 330.0
"""Ignis's own limit and what its answer may take, so that its error is seen where it sends one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds from a message to its answer."""

    session: float = _SESSION
    """For the registration."""
    definition: float = _DEFINITION
    """For a function to be dealt with, which may make a venv."""
    call: float | None = None
    """For a call to return, from when a replica is there for it; a function's own `timeout` goes first.

    None if nobody chose one; the embedded controller has a default of its own.
    """
    fetch: float = _BEYOND_PLATFORM
    """For a value to come."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read what the environment says.

        Raises:
            ControllerError: A variable is set to what is no number of seconds.
        """
        found = {each.name: _seconds(f"IGNIS_{each.name.upper()}_TIMEOUT") for each in fields(cls)}
        return cls(**{name: seconds for name, seconds in found.items() if seconds})

    def of_call(self, given: float | None) -> float:
        """Return the seconds for a call to ignis of a function whose decorator says `given`."""
        return given or self.call or _BEYOND_PLATFORM


def positive(given: object) -> float | None:
    """Return a length of time in seconds, as `units.seconds` takes it; None if it is none, or no time at all."""
    try:
        return units.seconds(given) or None
    except ValueError:
        return None


def _seconds(name: str) -> float | None:
    given = os.environ.get(name)
    found = positive(given)
    if given and found is None:
        raise ControllerError(f"{given!r} (from {name}) is no number of seconds; give one above 0, such as 600")
    return found
