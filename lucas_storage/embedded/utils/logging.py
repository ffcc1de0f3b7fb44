"""`log`: Lucas's logger, for scripts that write to it."""

from __future__ import annotations

import logging
import os

_LEVEL_VARIABLE = "LUCAS_LOG"
"""A tenth of the level: 1 shows everything, 2 (the default) what is informative, 5 what is critical."""


def _made() -> logging.Logger:
    made = logging.getLogger("lucas")
    level = os.environ.get(_LEVEL_VARIABLE, "2")
    made.setLevel(int(level) * 10 if level.isdecimal() else logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(filename)s:%(lineno)d %(message)s"))
    made.addHandler(handler)
    return made


log = _made()
"""Writes to standard error. The engine itself writes nothing to it, and no value ever."""
