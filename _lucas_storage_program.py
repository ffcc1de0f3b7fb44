"""The entry point of the `lucas-storage` program, which ends quietly when it is interrupted while it loads.

Outside of the packages, since loading them takes most of the time in which a short command can be interrupted.
"""

# A part of the interpreter; `signal` is a file, and loads others, while which nothing would be caught.
import _signal  # type: ignore[import-not-found]
import os

INTERRUPTED = 130
"""What a shell reports of a program that Ctrl-C ended."""


def end_at_once(_number: int, _frame: object) -> None:
    """End the process. For moments without anything to clean up, in which an exception would only be printed."""
    os._exit(INTERRUPTED)


def main() -> None:
    """Run the program with the arguments of this process."""
    # Not where it is ignored, as for a program in the background of a script.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, end_at_once)
    from lucas_storage.cli.main import main as program  # noqa: PLC0415  # an interruption meanwhile ends the process

    program()
