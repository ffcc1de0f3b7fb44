from __future__ import annotations

import io
import os

import pytest

from actorc.storage.files.seekable_reader import SeekableReader


class Letters(SeekableReader):
    """A file over bytes that gives three at once."""

    def __init__(self, content):
        super().__init__(len(content))
        self.content = content
        self.reads = []

    def read_at(self, offset, size):
        self.reads.append((offset, size))
        return memoryview(self.content)[offset : offset + min(size, 3)]


@pytest.fixture
def letters():
    return Letters(b"abcdefghij")


def test_all_ways_to_read_go_on_where_the_last_one_ended(letters):
    buffer = bytearray(4)

    assert letters.read(2) == b"ab"
    assert letters.readinto(buffer) == 3
    assert buffer == b"cde\0"
    assert letters.tell() == 5
    assert letters.readall() == b"fghij"
    assert (letters.read(1), letters.read(), letters.readinto(buffer)) == (b"", b"", 0)


def test_what_is_asked_for_ends_at_the_end_of_the_file(letters):
    letters.seek(-2, os.SEEK_END)

    assert letters.read(100) == b"ij"
    assert letters.reads == [(8, 2)]


@pytest.mark.parametrize(
    ("offset", "whence", "expected"),
    [(3, os.SEEK_SET, 3), (-1, os.SEEK_CUR, 4), (0, os.SEEK_END, 10), (9, os.SEEK_END, 19)],
)
def test_a_position_is_relative_to_the_beginning_the_present_one_or_the_end(letters, offset, whence, expected):
    letters.seek(5)

    assert letters.seek(offset, whence) == letters.tell() == expected
    assert letters.read(1) == b"abcdefghij"[expected : expected + 1]


def test_no_position_is_before_the_beginning_and_a_wrong_one_changes_nothing(letters):
    letters.seek(1)

    with pytest.raises(ValueError, match="0 or more, not -1"):
        letters.seek(-2, os.SEEK_CUR)
    assert letters.read(1) == b"b"


def test_it_reads_as_any_file_does_below_a_buffer_and_text(letters):
    assert io.BufferedReader(letters).read() == b"abcdefghij"
    assert io.TextIOWrapper(io.BufferedReader(Letters(b"one\ntwo\n"))).readlines() == ["one\n", "two\n"]


def test_bytes_that_a_subclass_returns_are_handed_out_without_a_copy():
    content = bytes(100)

    class Whole(SeekableReader):
        def read_at(self, offset, size):
            return content

    assert Whole(100).read(100) is content
