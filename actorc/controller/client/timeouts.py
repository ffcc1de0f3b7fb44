"""Timeouts of the client, so that no call waits for ever."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Final, Self

from actorc.controller.errors import ControllerError
from actorc.storage import units

PLATFORM_LIMIT: Final = 300.0
"""Seconds after which ignis ends a call and a fetch, regardless of the client (`configs/constants.go` of b843106)."""

_BEYOND_PLATFORM: Final = 330.0
"""Seconds: ignis's own limit and time for its answer, so that its error arrives before this client gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds from a message to its answer."""

    session: float = 10.0
    """For the answer to a registration."""
    definition: float = 600.0
    """For the platform to process a definition, which may create a venv. Ignis allows 300 for making one, and 300 for
    installing each package."""
    call: float | None = None
    """For a call to return, counted from when a replica is free; the `timeout` of a function takes precedence.

    None if the user set none; the embedded controller has its own default.
    """
    fetch: float = _BEYOND_PLATFORM
    """For a value to arrive."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment variables.

        Raises:
            ControllerError: A variable is no number of seconds.
        """
        found = {each.name: _seconds(f"IGNIS_{each.name.upper()}_TIMEOUT") for each in fields(cls)}
        return cls(**{name: seconds for name, seconds in found.items() if seconds})

    def of_call(self, given: float | None) -> float:
        """Return the seconds for a call to ignis of a function whose decorator gives `given`."""
        return given or self.call or _BEYOND_PLATFORM


def positive(given: object) -> float | None:
    """Return a duration in seconds, as `units.seconds` reads it; None if it is invalid or zero."""
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
