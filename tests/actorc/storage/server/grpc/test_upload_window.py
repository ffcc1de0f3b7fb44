"""How much of an upload a server takes before it is asked for."""

from __future__ import annotations

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, INITIAL_WINDOW_SIZE = 4, 4  # RFC 9113, sections 6.5 and 6.5.2
MiB = 1 << 20


def settings_of(endpoint):
    """Return the settings by which a server greets a connection of HTTP/2."""
    host, _, port = endpoint.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as answers:
        connection.sendall(PREFACE + struct.pack(">I", 0)[1:] + bytes([SETTINGS, 0]) + bytes(4))
        head = answers.read(9)
        assert head[3] == SETTINGS
        return dict(struct.iter_unpack(">HI", answers.read(int.from_bytes(head[:3]))))


def test_a_server_lets_two_mebibytes_of_each_upload_wait_in_its_memory(server):
    assert settings_of(server.endpoint)[INITIAL_WINDOW_SIZE] == 2 * MiB
