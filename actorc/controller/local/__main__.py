"""``python -m actorc.controller.local``: a controller that `LocalController` starts.

Its standard input is a socket: it reads its options there, tells its address, and ends when nobody is at the other end.
"""

from __future__ import annotations

import json
import socket
import sys
from contextlib import suppress

from .main import serve
from .options import ControllerOptions


def main() -> int:
    """Run a controller until it is told to stop, or left alone; return the exit code."""
    with socket.fromfd(sys.stdin.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        with channel.makefile("rb", buffering=0) as lines:
            order = lines.readline()
        if not order:
            return 2
        try:
            serve(
                ControllerOptions.from_json(order),
                on_address=lambda address: _tell(channel, {"address": address}),
                needed=lambda: _wait_until_alone(channel),
            )
        except ValueError as error:
            _tell(channel, {"error": str(error)})
            return 2
    return 0


def _tell(channel: socket.socket, news: dict[str, str]) -> None:
    with suppress(OSError):
        channel.sendall(json.dumps(news).encode() + b"\n")


def _wait_until_alone(channel: socket.socket) -> None:
    with suppress(OSError):
        while channel.recv(1):
            pass


if __name__ == "__main__":
    sys.exit(main())
