"""Standard streams that were closed before this program began, as by ``>&-`` of a shell."""

import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_streams() -> None:
    """Open the null device for closed streams: what is written to one vanishes, and reading one is an error."""
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            # Else a socket or a file would get the number, and what is printed later would go into it.
            # For writing, input too: an empty one would be taken for what is to be stored.
            descriptor = os.open(os.devnull, os.O_WRONLY)
            os.dup2(descriptor, number)
            if descriptor != number:
                os.close(descriptor)
            setattr(sys, name, open(number, mode, closefd=False, errors="backslashreplace"))  # noqa: SIM115  # to the end
