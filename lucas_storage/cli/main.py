"""The entry point of `lucas-storage`, which ends quietly when it is interrupted while it loads."""

# A part of the interpreter; `signal` is a file, and loads others, while which nothing would be caught.
import _signal  # type: ignore[import-not-found]

from lucas_storage.cli.quiet_end import end_at_once


def main() -> None:
    """Run the program with the arguments of this process."""
    # Not where it is ignored, as for a program in the background of a script.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, end_at_once)
    # Loaded here, since an interruption meanwhile ends the process.
    from lucas_storage.cli import garbage_collection  # noqa: PLC0415
    from lucas_storage.cli.closed_streams import open_closed_streams  # noqa: PLC0415

    open_closed_streams()
    garbage_collection.make_rare()
    from lucas_storage.cli.program import run  # noqa: PLC0415

    run()
