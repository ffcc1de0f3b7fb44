"""How much of an object its file fetches, and in how many requests; the file is one in every other respect."""

from __future__ import annotations

import io
import random
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.storage import DamagedMessageError, NetworkError
from actorc.storage._client import object_reader
from actorc.storage._client.recent_pieces import RecentPieces

KiB, MiB = 1 << 10, 1 << 20
LARGE = random.Random(1).randbytes(4 * MiB)


class Counted:
    """Bytes that are read by ranges, in pieces as a server sends them, and the ranges that were asked for."""

    def __init__(self, data, most=None, known=()):
        self.data = data
        self.asked = []
        self.sent = 0
        ends = {0: data[:KiB], max(0, len(data) - KiB): data[-KiB:]} if known == "ends" else {}
        self.file = object_reader.reader(self._fetch, len(data), most, "key", ends, generation=1)

    def _fetch(self, offset, length):
        assert 0 <= offset < offset + length <= len(self.data)
        self.asked.append((offset, length))
        while length:
            piece = self.data[offset : offset + min(length, MiB - offset % MiB)]
            self.sent += len(piece)
            yield piece
            offset, length = offset + len(piece), length - len(piece)


def archive(sizes):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for number, size in enumerate(sizes):
            made.writestr(f"member{number:04}", LARGE[:size])
    return target.getvalue()


def test_random_reads_fetch_what_they_ask_for_in_one_request_each():
    counted = Counted(LARGE)
    places = random.Random(2).sample(range(0, len(LARGE) - 4 * KiB, 8 * KiB), 200)
    for place in places:
        counted.file.seek(place)
        assert counted.file.read(4 * KiB) == LARGE[place : place + 4 * KiB]

    assert (len(counted.asked), counted.sent) == (200, 200 * 4 * KiB)


def test_what_was_read_of_late_is_not_fetched_again():
    counted = Counted(LARGE)
    for place in [5000, 2 * MiB, 5000, 6000, 2 * MiB + 100]:
        counted.file.seek(place)
        counted.file.read(1000)

    assert [offset for offset, _ in counted.asked] == [5000, 2 * MiB, 6280]


def test_a_range_around_earlier_ones_is_fetched_once():
    counted = Counted(LARGE)
    for place in range(50_000, 1_000_000, 100_000):
        counted.file.seek(place)
        counted.file.read(100)
    counted.asked.clear()
    for begin, size in [(2000, MiB), (500_000, 400_000)]:
        counted.file.seek(begin)
        assert counted.file.read(size) == LARGE[begin : begin + size]

    assert counted.asked == [(2000, MiB)]


def test_members_of_an_archive_take_a_request_each_once_the_first_has_shown_how_long_they_are():
    data = archive([60_000] * 60)
    counted = Counted(data, known="ends")
    with zipfile.ZipFile(counted.file) as opened:
        names = random.Random(3).sample(opened.namelist(), 20)
        for name in names:
            assert opened.read(name) == LARGE[:60_000]

    assert len(counted.asked) <= 20 + 2
    assert counted.sent <= 1.1 * 20 * 60_000


def test_members_of_many_sizes_fetch_at_most_half_as_much_again_as_is_needed():
    sizes = [random.Random(4).randrange(1000, 200_000) for _ in range(60)] + list(range(1000, 200_000, 5000))
    counted = Counted(archive(sizes), known="ends")
    needed = 0
    with zipfile.ZipFile(counted.file) as opened:
        for member in random.Random(5).sample(opened.infolist(), 50):
            opened.read(member)
            needed += member.file_size

    assert counted.sent <= 1.5 * needed


@pytest.mark.parametrize("size", [1, 100, 8 * KiB, 300 * KiB])
def test_a_scan_fetches_everything_once_in_few_requests(size):
    data = LARGE if size > 100 else LARGE[: 64 * KiB]
    counted = Counted(data)
    pieces = list(iter(lambda: counted.file.read(size), b""))

    assert b"".join(pieces) == data
    assert counted.sent == len(data)
    assert len(counted.asked) <= 14


def test_lines_are_read_ahead():
    data = b"a line of text\n" * (MiB // 15)
    counted = Counted(data)

    assert sum(1 for _ in counted.file) == MiB // 15
    assert len(counted.asked) <= 8


def test_a_run_that_ends_early_fetches_little_in_vain():
    counted = Counted(LARGE)
    for begin in range(0, 4 * MiB, 256 * KiB):
        counted.file.seek(begin)
        for _ in range(10):
            counted.file.read(3 * KiB)

    assert counted.sent <= 1.5 * 16 * 30 * KiB


@pytest.mark.parametrize("most", [1, 500, 64 * KiB])
def test_a_smaller_chunk_size_never_fetches_more_than_it_says_beyond_what_is_asked_for(most):
    counted = Counted(LARGE[: 64 * KiB] if most == 1 else LARGE, most)
    for size in [10, 4000, 70_000]:
        counted.file.seek(100)
        for _ in range(5):
            counted.file.read(size)
    counted.file.seek(0)
    counted.file.readline()

    assert all(length <= max(70_000, most) for _, length in counted.asked)
    assert max(length for offset, length in counted.asked if offset < 100 + 50) <= max(10, most, 8 * KiB)


def test_all_the_rest_is_one_request():
    counted = Counted(LARGE, known="ends")
    counted.file.read(10)

    assert counted.file.read() == LARGE[10:]
    assert len(counted.asked) == 1


def test_a_small_object_whose_ends_came_with_it_is_read_without_a_request():
    counted = Counted(LARGE[:1500], known="ends")

    assert counted.file.read() == LARGE[:1500]
    assert counted.asked == []


def test_a_stream_that_is_left_is_closed_and_its_rest_is_never_fetched():
    counted = Counted(LARGE * 3)
    while len(counted.asked) < 8:
        counted.file.read(64 * KiB)
    planned = sum(length for _, length in counted.asked)
    counted.file.seek(0)
    counted.file.read(10)

    assert counted.sent < planned


def test_a_read_that_failed_may_be_made_again():
    counted = Counted(LARGE)
    fetch, broken = counted.file.raw._fetch, iter([True, False])

    def fetched(offset, length):
        if next(broken):
            raise NetworkError("gone")
        yield from fetch(offset, length)

    counted.file.raw._fetch = fetched
    counted.file.seek(7)
    with pytest.raises(NetworkError):
        counted.file.read(5)

    assert (counted.file.tell(), counted.file.read(5)) == (7, LARGE[7:12])


@pytest.mark.parametrize(
    "read",
    [
        lambda file: file.read(),
        lambda file: file.read(3 * MiB),
        lambda file: file.readinto(bytearray(3 * MiB)),
        lambda file: file.read(64 * KiB),
    ],
)
@pytest.mark.parametrize("begin", [0, 10, 5000])
@pytest.mark.parametrize("error", [NetworkError, KeyboardInterrupt])
def test_a_read_that_failed_on_its_way_leaves_the_position_where_it_was(read, begin, error):
    counted = Counted(LARGE, known="ends")
    fetch = counted.file.raw._fetch

    def broken(offset, length):
        yield next(fetch(offset, length))[: 2 * KiB]
        raise error("gone")

    assert counted.file.read(begin) == LARGE[:begin]
    counted.file.raw._fetch = broken
    with pytest.raises(error):
        read(counted.file)
    counted.file.raw._fetch = fetch

    assert (counted.file.tell(), counted.file.read(9000)) == (begin, LARGE[begin : begin + 9000])


@pytest.mark.parametrize(
    "read", [lambda file: file.read(), lambda file: file.read(3 * MiB), io.BufferedReader.readline]
)
def test_an_object_that_ends_before_its_size_is_an_error_and_no_end_of_file(read):
    counted = Counted(b"x" * 4 * MiB)
    fetch = counted.file.raw._fetch
    counted.file.raw._fetch = lambda offset, length: (piece for piece in fetch(offset, length) if offset > length)

    with pytest.raises(DamagedMessageError, match="fewer bytes"):
        read(counted.file)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.integers(0, 40_000), st.just(0)),
        st.tuples(st.just("seek"), st.integers(-5000, 5000), st.sampled_from([1, 2])),
        st.tuples(st.sampled_from(["read", "readinto", "readline"]), st.integers(0, 20_000)),
        st.tuples(st.sampled_from(["tell", "peek", "read", "readlines"])),
    ),
    max_size=25,
)


def done(file, step, *arguments):
    if step == "readinto":
        buffer = bytearray(*arguments)
        return bytes(buffer[: file.readinto(buffer)])
    if step == "seek" and arguments[1] and arguments[0] + (file.tell() if arguments[1] == 1 else 30_000) < 0:
        return None
    if step == "peek":
        return file.peek(1)[:1]
    return getattr(file, step)(*arguments)


@given(STEPS, st.sampled_from([None, 1, 700, 5000]), st.sampled_from(["", "ends"]))
def test_every_sequence_of_calls_answers_as_a_local_file_does(steps, most, known):
    data = LARGE[:30_000]
    remote, local = Counted(data, most, known).file, io.BufferedReader(io.BytesIO(data))
    for step in steps:
        assert done(remote, *step) == done(local, *step), step


def test_it_says_what_it_is():
    file = Counted(LARGE[:100]).file

    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    assert (file.name, file.mode, file.closed, file.isatty()) == ("key", "rb", False, False)
    with pytest.raises(io.UnsupportedOperation):
        file.fileno()
    with pytest.raises(io.UnsupportedOperation):
        file.write(b"x")
    with pytest.raises(ValueError, match="whence"):
        file.seek(0, 9)
    file.close()
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_the_raw_file_refuses_a_whence_that_is_none():
    with pytest.raises(ValueError, match="whence"):
        Counted(LARGE[:100]).file.raw.seek(0, 9)


def test_pieces_are_kept_within_their_room_and_the_oldest_go_first():
    pieces = RecentPieces(30)
    for start in (0, 100, 200):
        pieces.add(start, b"0123456789")
    pieces.at(3)
    pieces.add(300, b"0123456789")

    assert [bytes(pieces.at(start)) for start in (4, 100, 205, 309, 310)] == [b"456789", b"", b"56789", b"9", b""]


def test_a_piece_larger_than_the_room_is_kept_until_the_next():
    pieces = RecentPieces(5)
    pieces.add(0, b"0123456789")
    assert bytes(pieces.at(9)) == b"9"
    pieces.add(20, b"ab")

    assert (bytes(pieces.at(9)), bytes(pieces.at(21))) == (b"", b"b")


def test_a_piece_takes_the_place_of_those_within_it():
    pieces = RecentPieces(12)
    for start, data in [(2, b"cd"), (5, b"f"), (8, b"ij"), (0, b"abcdefghi")]:
        pieces.add(start, data)

    assert [bytes(pieces.at(start)) for start in (0, 3, 6, 9)] == [b"abcdefghi", b"defghi", b"ghi", b"j"]


def test_only_the_gap_between_pieces_is_fetched():
    pieces = RecentPieces()
    pieces.add(0, bytes(10))
    pieces.add(30, bytes(10))

    assert pieces.gap(5, 12, 20, 50) == (10, 30)
    assert pieces.gap(12, 12, 35, 50) == (12, 35)
    assert pieces.gap(50, 50, 60, 70) == (50, 70)
