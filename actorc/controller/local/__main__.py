"""``python -m actorc.controller.local``: the controller process that `LocalController` starts.

Its standard input is a socket: it reads its options from it, writes its address to it, and exits when the peer is gone.
"""

from __future__ import annotations

import json
import socket
import sys
from contextlib import suppress

from .main import serve
from .options import ControllerOptions


def main() -> int:
    """Run a controller until a signal or the end of its parent; return the exit code."""
    with socket.fromfd(sys.stdin.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        with channel.makefile("rb", buffering=0) as lines:
            options = lines.readline()
        if not options:
            return 2
        try:
            serve(
                ControllerOptions.from_json(options),
                on_address=lambda address: _reply(channel, {"address": address}),
                wait_until_unneeded=lambda: _wait_for_parent_end(channel),
            )
        except ValueError as error:
            # raised again by the parent, whose user chose the options
            _reply(channel, {"error": str(error)})
            return 2
    return 0


def _reply(channel: socket.socket, reply: dict[str, str]) -> None:
    with suppress(OSError):
        # the parent may have gone, which ends this process anyway
        channel.sendall(json.dumps(reply).encode() + b"\n")


def _wait_for_parent_end(channel: socket.socket) -> None:
    with suppress(OSError):
        # a broken socket means the same as the end of the stream: the parent is gone
        while channel.recv(1):
            pass


if __name__ == "__main__":
    sys.exit(main())
