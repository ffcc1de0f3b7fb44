"""Request ids: made for each call, the same in all its attempts, and written into the logs of both sides."""

from __future__ import annotations

import re
from typing import Final

from actorc.random_ids import random_id

REQUEST_ID_KEY: Final = "x-request-id"
"""The header and trailer that carries one."""

_SANE: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def accepted_request_id(offered: object) -> str:
    """Return the request id that a caller offers, or a new one if it is none that may be written into a log."""
    return offered if isinstance(offered, str) and _SANE.fullmatch(offered) else random_id()
