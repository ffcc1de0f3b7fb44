"""Objects larger than what a gateway may hold in memory."""

from __future__ import annotations

import pytest
from fastcrc import crc32

from actorc.storage.rules import MiB

SIZE = 160
"""MiB of each object."""
MEMORY = 100
"""MiB that a gateway may need more for it, at its peak."""
PIECE = bytes(range(256)) * 4096

pytestmark = pytest.mark.slow


def pieces():
    for number in range(SIZE):
        yield number.to_bytes(4, "big") + PIECE[4:]


def count(chunks):
    size = checksum = 0
    for chunk in chunks:
        size, checksum = size + len(chunk), crc32.iscsi(chunk, checksum)
    return size, f"{checksum:08x}"


@pytest.mark.parametrize("condition", [{}, {"if_absent": True}], ids=["unconditional", "conditional"])
def test_a_gateway_streams_in_both_directions(gateway, client, condition):
    client.upload_from_stream("bucket", "warm", [PIECE] * 16)
    list(client.stream_object("bucket", "warm"))

    with gateway.memory_watched() as grown:
        client.upload_from_stream("bucket", "large", pieces(), **condition)
        got = count(client.stream_object("bucket", "large"))

    assert got == (SIZE * MiB, client.head_object("bucket", "large")["crc32c"])
    assert got == count(pieces())
    assert grown[0] <= MEMORY * MiB


def test_parts_become_one_object_without_being_held_in_memory(gateway, client):
    upload_id = client.create_multipart_upload("bucket", "large")["upload_id"]
    parts = [
        client.upload_part("bucket", "large", upload_id, number, PIECE * 20) for number in range(1, SIZE // 20 + 1)
    ]

    with gateway.memory_watched() as grown:
        client.complete_multipart_upload("bucket", "large", upload_id, parts)

    assert count(client.stream_object("bucket", "large")) == count(PIECE for _ in range(SIZE))
    assert grown[0] <= MEMORY * MiB
