"""Notes to the user of a script or notebook: lines on standard error."""

from __future__ import annotations

import sys


def note(message: str) -> None:
    """Write a line to standard error; without one, as a window has none, do nothing."""
    # No warning: programs that turn warnings into errors would not start because a port is taken.
    if sys.stderr is not None:
        sys.stderr.write(f"lucas-storage: {message}\n")
