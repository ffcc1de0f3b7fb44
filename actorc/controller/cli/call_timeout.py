"""How long a call on an embedded controller may take whose function says nothing else."""

from __future__ import annotations

import os
from typing import Final

from actorc.storage.errors import InvalidParameterError

_VARIABLE: Final = "IGNIS_CALL_TIMEOUT"


def seconds() -> float:
    """Return what the environment says, in seconds, or else the controller's own limit.

    Raises:
        InvalidParameterError: The environment names no number.
    """
    from actorc.controller.local.options import DEFAULT_CALL_TIMEOUT  # noqa: PLC0415  # of no use to other commands

    told = os.environ.get(_VARIABLE)
    try:
        return float(told) if told else DEFAULT_CALL_TIMEOUT
    except ValueError:
        raise InvalidParameterError(
            f"{told!r} (from {_VARIABLE}) is no number of seconds; give one above 0, such as 600"
        ) from None
