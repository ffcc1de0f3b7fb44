"""Ports of servers that are kept in this user's hands, so that a client never talks to somebody else in their place."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Final


class _Ports:
    """Sockets that keep the ports of servers in this user's hands, one for each data directory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Path, tuple[str, socket.socket]] = {}

    def hold(self, directory: Path, endpoint: str) -> bool:
        """Keep a port, instead of another one of that directory; return whether this user alone has it."""
        with self._lock:
            present = self._held.get(directory)
            if present and present[0] == endpoint:
                return True
            held = _shared(endpoint)
            if held is None:
                return False
            if present:
                present[1].close()
            self._held[directory] = endpoint, held
            return True

    def unlock(self) -> None:
        """Start with a lock that is free, in a forked child; what is held stays held."""
        self._lock = threading.Lock()


_ports: Final = _Ports()
hold: Final = _ports.hold
os.register_at_fork(after_in_child=_ports.unlock)


def _shared(endpoint: str) -> socket.socket | None:
    host, _, port = endpoint.rpartition(":")
    held = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
    try:
        # never with SO_REUSEADDR: beside a socket that has it and does not listen, any user's may listen
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host.strip("[]"), int(port)))
    except (OSError, AttributeError):
        held.close()
        return None
    return held
