"""Cutting bytes into parts, sending and fetching several at once, and the items of streams."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucas_storage.artifacts.chunks import items_of, lines_of, send_bytes
from lucas_storage.artifacts.manifest import PART
from lucas_storage.artifacts.part_transfer import IN_FLIGHT, Cutter, PartSender, cut, run_ahead, stored
from lucas_storage.errors import DecodeError
from lucas_storage.formats.base import Encoded


class Memory:
    """Keeps bodies in order of their digest; counts how many are on their way at once."""

    def __init__(self, fail_at=None):
        self.blobs = {}
        self.buffers = {}
        self.fail_at = fail_at
        self.calls = 0
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def put(self, body):
        with self._lock:
            self.calls += 1
            if self.calls == self.fail_at:
                raise ConnectionError
            self._now += 1
            self.most = max(self.most, self._now)
        data = bytes(body._encoded)
        self.buffers.update((id(part.obj), part.obj) for part in body._encoded.parts if isinstance(part, memoryview))
        with self._lock:
            self._now -= 1
            self.blobs[body.digest] = data

    def read(self, parts):
        return [self.blobs[part.digest] for part in parts]


def sent(send):
    memory = Memory()
    with PartSender(memory.put) as parts:
        manifest = send(parts)
    return manifest, memory


def test_cut_gives_full_parts_without_a_copy():
    data = bytes(bytearray(PART)) + b"tail"

    first, last = cut(Encoded((data,)))

    assert (bytes(first), bytes(last)) == (data[:PART], b"tail")
    assert first.parts[0].obj is data


def test_a_buffer_as_large_as_a_part_begins_one():
    big = bytes(PART + 3)

    pieces = [bytes(piece) for piece in cut(Encoded((b"head", big, b"more", big)))]

    assert pieces == [b"head", big[:PART], big[PART:] + b"more", big[:PART], big[PART:]]


def test_small_buffers_share_a_part():
    (piece,) = cut(Encoded(tuple(bytes([n % 256]) * 100 for n in range(1000))))

    assert piece.size == 100_000


def test_a_cutter_copies_what_it_is_given():
    memory, buffer = Memory(), bytearray(b"abc")
    with PartSender(memory.put) as parts:
        cutter = Cutter(parts)
        cutter.add(buffer)
        buffer[:] = b"xyz"
        cutter.end()

    assert list(memory.blobs.values()) == [b"abc"]


def test_no_more_parts_are_on_their_way_than_allowed():
    memory = Memory()
    with PartSender(memory.put) as parts:
        made = parts.send(Encoded((bytes([n]) * 1000,)) for n in range(50))

    assert memory.read(made) == [bytes([n]) * 1000 for n in range(50)]
    assert memory.most <= IN_FLIGHT


def test_the_memory_of_a_part_that_is_stored_is_used_again(tmp_path, monkeypatch):
    monkeypatch.setattr("lucas_storage.artifacts.part_transfer.PART", 4096)
    data = os.urandom(2 * IN_FLIGHT * 4096 + 7)
    (tmp_path / "file").write_bytes(data)
    memory = Memory()

    with PartSender(memory.put) as parts, (tmp_path / "file").open("rb") as file:
        made = stored(parts.submit_file(file))

    assert b"".join(memory.read(made)) == data
    assert len(memory.buffers) <= IN_FLIGHT


def test_a_failure_ends_the_sending_and_the_source():
    given, memory = [], Memory(fail_at=3)

    def pieces():
        for n in range(1000):
            given.append(n)
            yield Encoded((b"%d" % n,))

    with pytest.raises(ConnectionError), PartSender(memory.put) as parts:
        parts.send(pieces())

    assert len(given) < 100


def test_jobs_run_ahead_in_order_and_not_too_far():
    started = []

    def job(n):
        started.append(n)
        return n

    results = run_ahead((lambda n=n: job(n)) for n in range(100))
    first = [next(results) for _ in range(3)]
    results.close()

    assert first == [0, 1, 2]
    assert len(started) <= 3 + IN_FLIGHT


def test_the_error_of_a_job_comes_in_its_turn():
    results = run_ahead([lambda: 1, lambda: 1 // 0, lambda: 3])

    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


@given(st.lists(st.binary(max_size=300), max_size=30), st.integers(1, 50))
def test_items_come_back_however_the_bytes_are_cut(items, size):
    manifest, memory = sent(partial(send_bytes, iter(items), items=True))
    data, lengths = b"".join(memory.read(manifest.parts)), b"".join(memory.read(manifest.items))

    def in_pieces(whole):
        return [whole[start : start + size] for start in range(0, len(whole), size)]

    assert items == list(items_of(in_pieces(data), in_pieces(lengths)))
    assert (data, manifest.size) == (b"".join(items), len(data))


@pytest.mark.parametrize("lengths", [b"\x02", b"\x05", b"\x80", b"\xff" * 12, b"", b"\x03\x00\x01"], ids=repr)
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(DecodeError, match="do not add up"):
        list(items_of([b"a", b"bc"], [lengths]))


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=20), st.integers(1, 9))
def test_lines_come_back_however_they_are_cut(lines, size):
    whole = b"".join(line + b"\n" for line in lines)

    assert lines == list(lines_of(whole[start : start + size] for start in range(0, len(whole), size)))


def test_a_line_without_an_end_is_refused():
    with pytest.raises(DecodeError, match="ends within a record"):
        list(lines_of([b"1\n2"]))


def test_a_stream_of_bytes_gives_nothing_else():
    with pytest.raises(TypeError, match="gave bytes and then a str"):
        sent(partial(send_bytes, iter([b"a", "b"]), items=True))
