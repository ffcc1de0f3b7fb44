"""The end of a program that is interrupted when there is nothing to clean up."""

import os

INTERRUPTED = 130
"""What a shell reports of a program that Ctrl-C ended."""


def end_at_once(_number: int, _frame: object) -> None:
    """End the process: the handler of a signal, for moments in which an exception would only be printed."""
    os._exit(INTERRUPTED)
