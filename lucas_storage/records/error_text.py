"""The text of an exception as a record holds it: its message, and where it was raised; never values of variables."""

from __future__ import annotations

import traceback
from typing import Final

from lucas_storage._tracebacks import shorten

_MESSAGE_MAX: Final = 4_000
_TRACEBACK_MAX: Final = 16_000
"""Characters; of a longer text the begin and the end are kept."""


def message_of(error: BaseException) -> str:
    """Return the message of an exception, cut if it is long."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # it is the user's method
        text = "its message cannot be shown"
    return _recordable(text, _MESSAGE_MAX)


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception up to the user's own line, as errors are shown, and those of its causes."""
    shorten(error)
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as other:  # noqa: BLE001  # the user's methods again
        text = f"the traceback cannot be shown because of {type(other).__name__}"
    return _recordable(text, _TRACEBACK_MAX)


def _recordable(text: str, most: int) -> str:
    if len(text) > most:
        left_out = len(text) - most
        text = f"{text[: most // 2]}\n… {left_out} characters …\n{text[-most // 2 :]}"
    # A record is UTF-8, which has no lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode()
