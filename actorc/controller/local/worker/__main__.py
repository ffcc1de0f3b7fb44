"""``python -m actorc.controller.local.worker``: runs functions until the other end of standard input is gone."""

from __future__ import annotations

import os
import signal
import socket
import sys

from .loop import serve


def main() -> None:
    """Carry out orders, then end at once, with all that functions started."""
    channel = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    try:
        serve(channel)
    except BaseException:  # noqa: BLE001  # nobody else is left to show it
        sys.excepthook(*sys.exc_info())
    finally:
        _end()


def _end() -> None:
    # threads in the middle of a call are not waited for
    sys.stdout.flush()
    sys.stderr.flush()
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
