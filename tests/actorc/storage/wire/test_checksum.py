from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.storage._wire.checksum import BlockSums, combine, crc32c


def test_the_checksum_is_the_published_one():
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("of", [bytearray, memoryview, lambda data: memoryview(bytearray(b"-" + data))[1:]])
def test_any_buffer_is_summed_in_place_and_not_copied(of):
    data = of(bytes(range(256)) * 4096)
    tracemalloc.start()
    try:
        assert crc32c(data) == 0x7D25B26D
        assert tracemalloc.get_traced_memory()[1] < len(data) / 2
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_summing_goes_on_from_any_checksum(data, start):
    value = start ^ 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)

    assert crc32c(data, start) == value ^ 0xFFFFFFFF


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_combining_equals_summing_the_whole(first, second):
    assert combine(crc32c(first), crc32c(second), len(second)) == crc32c(first + second)


@pytest.mark.parametrize("length", [1, 1 << 20, 3 * (1 << 20) + 17])
def test_combining_works_for_lengths_of_real_parts(length):
    first, second = b"begin", bytes(length)

    assert combine(crc32c(first), crc32c(second), length) == crc32c(first + second)


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 16))
def test_block_sums_do_not_depend_on_how_the_bytes_are_cut(pieces, block_size):
    whole = b"".join(pieces)
    sums = BlockSums(block_size)
    for piece in pieces:
        sums.add(piece, crc32c(piece))

    assert sums.blocks() == [crc32c(whole[i : i + block_size]) for i in range(0, len(whole), block_size)]
    assert sums.whole() == crc32c(whole)
    assert sums.size == len(whole)
