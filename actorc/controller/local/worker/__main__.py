"""``python -m actorc.controller.local.worker``: runs functions until the peer of its standard input is gone."""

from __future__ import annotations

import os
import signal
import socket
import sys

from actorc.tracing import setup

from .loop import serve


def main() -> None:
    """Carry out orders, then exit at once, together with every process that functions started."""
    # moved away from descriptor 0, so that a function that reads standard input finds it empty
    channel = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    setup.set_up(setup.WORKER)
    try:
        serve(channel)
    except BaseException:  # noqa: BLE001  # the process ends here, so nothing else would show it
        sys.excepthook(*sys.exc_info())
    finally:
        _end()


def _end() -> None:
    # not a regular exit, which would wait for threads that still run calls
    sys.stdout.flush()
    sys.stderr.flush()
    # only its own process group, which `start_new_session` made: else this would kill the user's shell
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
