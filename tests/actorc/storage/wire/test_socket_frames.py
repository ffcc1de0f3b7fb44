"""Frames on a Unix socket: what comes out is what went in, and what is no frame ends the connection without a leak."""

from __future__ import annotations

import array
import os
import socket
import struct
import threading
from contextlib import closing

import pytest

from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import (
    MAX_DESCRIPTORS,
    MAX_PAYLOAD,
    ClosedError,
    FrameError,
    Kind,
    decode_pairs,
    encode_pairs,
    header,
)

SECONDS = 20


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    frames = FrameSocket(ours)
    yield frames, theirs
    frames.close()
    theirs.close()


@pytest.fixture
def both(pair):
    theirs = FrameSocket(pair[1])
    yield pair[0], theirs
    theirs.close()


@pytest.fixture
def files(tmp_path):
    """Return a function that opens files, which hold their number; they are closed at the end."""
    opened = []

    def opening(count):
        for number in range(count):
            path = tmp_path / str(number)
            path.write_text(str(number))
            opened.append(os.open(path, os.O_RDONLY))
        return list(opened)

    yield opening
    for descriptor in opened:
        os.close(descriptor)


def passed(socket_, data, descriptors):
    socket_.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


@pytest.mark.parametrize("size", [0, 1, 65_527, 65_528, 65_529, 65_536, 65_537, 1 << 20, MAX_PAYLOAD])
def test_a_payload_of_any_size_arrives_in_order(both, size):
    ours, theirs = both
    payload = os.urandom(size)
    sender = threading.Thread(
        target=lambda: [
            theirs.send_frame(Kind.BEGIN, [b"before"], SECONDS),
            theirs.send_frame(Kind.MESSAGE, [payload[: size // 3], memoryview(payload)[size // 3 :]], SECONDS),
            theirs.send_frame(Kind.FINISH, [], SECONDS),
        ]
    )
    sender.start()

    frames = [ours.receive_frame(SECONDS) for _ in range(3)]

    sender.join()
    assert [frame.kind for frame in frames] == [Kind.BEGIN, Kind.MESSAGE, Kind.FINISH]
    assert [bytes(frame.payload) for frame in frames] == [b"before", payload, b""]


def test_frames_that_come_byte_by_byte_are_put_together(pair):
    ours, theirs = pair
    for byte in header(Kind.MESSAGE, [b"data"]) + b"data":
        theirs.send(bytes([byte]))

    assert ours.receive_frame(SECONDS).payload == b"data"


def test_many_frames_in_one_piece_are_taken_apart(pair):
    ours, theirs = pair
    payloads = [bytes([number]) * (number * 37) for number in range(100)]
    whole = b"".join(header(Kind.MESSAGE, [payload]) + payload for payload in payloads)
    threading.Thread(target=theirs.sendall, args=(whole,)).start()

    assert [ours.receive_frame(SECONDS).payload for _ in payloads] == payloads


@pytest.mark.parametrize("count", [1, 3, MAX_DESCRIPTORS])
def test_descriptors_arrive_with_their_frame_and_are_not_inherited(both, files, count):
    ours, theirs = both
    theirs.send_frame(Kind.MESSAGE, [b"none"], SECONDS)
    theirs.send_frame(Kind.MESSAGE, [b"some"], SECONDS, files(count))
    theirs.send_frame(Kind.MESSAGE, [b"none"], SECONDS)

    frames = [ours.receive_frame(SECONDS, descriptors=count) for _ in range(3)]

    assert [len(frame.descriptors) for frame in frames] == [0, count, 0]
    for number, descriptor in enumerate(frames[1].descriptors):
        assert os.read(descriptor, 10) == str(number).encode()
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_descriptors_of_two_frames_are_not_mixed_up(both, files):
    ours, theirs = both
    first, second = files(2)
    theirs.send_frame(Kind.MESSAGE, [b"first"], SECONDS, [first])
    theirs.send_frame(Kind.MESSAGE, [b"second"], SECONDS, [second])

    for number in range(2):
        (descriptor,) = ours.receive_frame(SECONDS, descriptors=1).descriptors
        assert os.read(descriptor, 10) == str(number).encode()
        os.close(descriptor)


@pytest.mark.parametrize(
    ("announced", "sent", "wanted"),
    [(0, 1, 0), (1, 1, 0), (2, 2, 1), (1, 2, 1), (2, 1, 2), (0, 3, 3), (200, 5, 250), (1, 100, 1)],
)
def test_descriptors_that_nobody_asked_for_are_closed(pair, files, open_below, tmp_path, announced, sent, wanted):
    ours, theirs = pair
    given = files(sent)
    before = open_below(tmp_path)
    passed(theirs, struct.pack("<IBBH", 4, Kind.MESSAGE, announced, 0) + b"data", given)

    with pytest.raises(FrameError):
        ours.receive_frame(SECONDS, descriptors=wanted)
    ours.close()

    assert open_below(tmp_path) == before


def test_descriptors_of_a_frame_that_never_ends_are_closed(pair, files, open_below, tmp_path):
    ours, theirs = pair
    given = files(3)
    before = open_below(tmp_path)
    passed(theirs, struct.pack("<IBBH", 100, Kind.MESSAGE, 3, 0) + b"some", given)
    theirs.close()

    with pytest.raises(ClosedError) as caught:
        ours.receive_frame(SECONDS, descriptors=3)
    ours.close()

    assert caught.value.within
    assert open_below(tmp_path) == before


@pytest.mark.parametrize(
    "garbage",
    [
        struct.pack("<IBBH", 0, 0, 0, 0),
        struct.pack("<IBBH", 0, 7, 0, 0),
        struct.pack("<IBBH", 0, Kind.MESSAGE, 0, 1),
        struct.pack("<IBBH", MAX_PAYLOAD + 1, Kind.MESSAGE, 0, 0),
        struct.pack("<IBBH", 0xFFFFFFFF, Kind.MESSAGE, 0, 0),
        struct.pack("<IBBH", 0, Kind.MESSAGE, 1, 0),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_frame_is_refused_before_its_payload_is_read(pair, garbage):
    ours, theirs = pair
    theirs.sendall(garbage)

    with pytest.raises(FrameError):
        ours.receive_frame(SECONDS, descriptors=0)


@pytest.mark.parametrize(("sent", "within"), [(b"", False), (b"\0\0", True), (header(Kind.MESSAGE, [b"data"]), True)])
def test_a_peer_that_goes_away_is_told_apart_from_one_that_goes_in_the_middle(pair, sent, within):
    ours, theirs = pair
    theirs.sendall(sent)
    theirs.close()

    with pytest.raises(ClosedError) as caught:
        ours.receive_frame(SECONDS)

    assert caught.value.within is within


def test_a_wait_ends_after_its_seconds_by_whichever_steps_the_peer_moves(pair):
    ours, theirs = pair
    theirs.sendall(header(Kind.MESSAGE, [b"data"])[:5])

    with pytest.raises(TimeoutError):
        ours.receive_frame(0.01)
    with pytest.raises(TimeoutError):
        ours.send_frame(Kind.MESSAGE, [bytes(MAX_PAYLOAD)], 0.01)


def test_shutting_from_another_thread_ends_a_wait(pair):
    ours, _ = pair
    threading.Timer(0.01, ours.shut).start()

    with pytest.raises(ClosedError):
        ours.receive_frame(SECONDS)


@pytest.mark.parametrize("pairs", [(), ((":path", "/a/B"), ("x", ""), ("d-bin", b"\0\xff"), ("name", "ä\n"))])
def test_names_and_values_come_back(pairs):
    assert decode_pairs(encode_pairs(pairs)) == pairs


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_list_that_is_cut_off_is_refused(cut):
    whole = encode_pairs([("name", "value"), ("n", "v" * 10)])

    with pytest.raises(FrameError):
        decode_pairs(whole[:-cut] if cut != 17 else whole + b"\1")


class Waiting(FrameSocket):
    """Counts how often it waited for its socket."""

    waits = 0

    def _ready(self, events, milliseconds):
        self.waits += 1
        return super()._ready(events, milliseconds)


def test_what_was_found_to_be_there_is_not_waited_for_again():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with closing(Waiting(ours)) as frames, closing(FrameSocket(theirs)) as peer:
        for number in (1, 2):
            peer.send_frame(Kind.MESSAGE, [b"data"], SECONDS)
            assert not frames.is_quiet(SECONDS)
            assert frames.receive_frame(SECONDS).payload == b"data"
            assert frames.waits == number

        assert frames.is_quiet()
        with pytest.raises(TimeoutError):
            frames.receive_frame(0.0)


def test_an_end_that_was_found_is_an_end_when_it_is_read():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with closing(FrameSocket(ours)) as frames:
        theirs.close()

        assert not frames.is_quiet(SECONDS)
        for _ in range(2):
            with pytest.raises(ClosedError):
                frames.receive_frame(SECONDS)
