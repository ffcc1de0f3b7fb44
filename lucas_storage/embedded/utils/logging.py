"""`log`: Lucas's logger, for scripts that write to it."""

from __future__ import annotations

import logging
import os

_LEVEL_VARIABLE = "LUCAS_LOG"
"""A tenth of the level of `logging`: 1 is debug, 2 (the default) info, 5 critical."""


def _made() -> logging.Logger:
    made = logging.getLogger("lucas")
    level = os.environ.get(_LEVEL_VARIABLE, "2")
    made.setLevel(int(level) * 10 if level.isdecimal() else logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(filename)s:%(lineno)d %(message)s"))
    made.addHandler(handler)
    return made


log = _made()
"""Writes to standard error. Only scripts use it: the engine itself logs nothing, so no value gets into a log."""
