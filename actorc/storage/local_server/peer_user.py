"""The process at the other end of a Unix socket, by its credentials, which the kernel vouches for."""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")
"""``struct ucred``: process, user, group."""


def trusted_peer(connection: socket.socket) -> int | None:
    """Return the process at the other end, as it was when it connected or began to listen; None if of another user."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(told)
    return process if user == os.geteuid() else None
