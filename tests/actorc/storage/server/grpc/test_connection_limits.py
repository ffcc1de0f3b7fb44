"""Calls of one connection: how many run at once, and what one that begins ever more of them costs."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import grpc
import pytest

from actorc.storage import StorageClient
from actorc.storage._wire import call_headers
from actorc.storage.testing import local_server

METHOD = f"/{call_headers.SERVICE.full_name}/HeadObject"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RESET, SETTINGS = 1, 3, 4
END_HEADERS = 4
MAX_CONCURRENT_STREAMS = 3
CANCEL = struct.pack(">I", 8)
MiB = 1 << 20


def frame(kind, stream, payload=b"", flags=0):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


CALL = b"".join(
    literal(name, value)
    for name, value in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", METHOD.encode()),
        (b":authority", b"server"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
)
KEPT = b"\x40\x05x-big\x7f\xa1\x1e" + b"a" * 4000
"""A header of 4000 bytes that the peer is to keep in its table."""
AGAIN = b"\xbe"
"""The header that was kept last, in one byte."""


@pytest.fixture
def connected():
    with local_server() as server:
        host, _, port = server.endpoint.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(PREFACE + frame(SETTINGS, 0))
            yield server, connection


def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_the_calls_of_a_connection_that_run_at_once_are_bounded(connected):
    _, connection = connected
    length, kind = struct.unpack(">IB", b"\0" + connection.recv(4, socket.MSG_WAITALL))
    connection.recv(5, socket.MSG_WAITALL)
    settings = dict(struct.iter_unpack(">HI", connection.recv(length, socket.MSG_WAITALL)))

    assert kind == SETTINGS
    assert settings[MAX_CONCURRENT_STREAMS] == 128


def test_a_client_that_begins_more_calls_has_them_wait_and_not_fail():
    with local_server() as server, grpc.insecure_channel(server.endpoint) as channel:
        head = channel.unary_unary(METHOD)
        for _ in range(2):
            calls = [head.future(b"", timeout=30) for _ in range(600)]

            # the message is none that the server can read, so each was answered by it
            assert grpc.StatusCode.UNAVAILABLE not in {call.code() for call in calls}


@pytest.mark.slow
def test_calls_that_are_reset_as_they_begin_and_name_a_long_header_often_take_the_memory_of_few(connected):
    server, connection = connected
    StorageClient(server.endpoint, local=False).put_object("bucket", "key", b"data")
    before = memory()
    try:
        connection.sendall(frame(HEADERS, 1, CALL + KEPT, END_HEADERS))
        for stream in range(3, 2003, 2):
            connection.sendall(frame(HEADERS, stream, CALL + AGAIN * 4000, END_HEADERS) + frame(RESET, stream, CANCEL))
    except ConnectionError:
        pass  # the server may hang up on such a peer

    assert StorageClient(server.endpoint, local=False).get_object("bucket", "key") == b"data"
    # what 128 of them hold, more or less; 1000 would take 2.3 GiB
    assert memory() - before < 600 * MiB
