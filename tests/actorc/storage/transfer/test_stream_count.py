"""How many streams a transfer uses over links that are computed, second by second, and not waited for."""

from __future__ import annotations

import pytest

from actorc.storage._transfer import part_streams
from actorc.storage._transfer.stream_count import StreamCount

MiB = 1 << 20


def transfer(size, rate, busy, *, most=8, connecting=0.0, streams=None):
    """Move `size` MiB in frames of 1 MiB; return the counts of streams that were used, in order.

    Args:
        rate: MiB a second that so many streams reach together.
        busy: Processor seconds that a MiB takes.
        most: Streams at most.
        connecting: Seconds until a new stream moves its first byte.
        streams: Decides on the streams, and reads the processor time of this process.
    """
    now = moved = 0.0
    streams = streams or StreamCount(most=most, busy=lambda: moved * busy)
    used, since = [streams.count], 0.0
    while moved < size:
        flowing = streams.count if now >= since + connecting else (used[-2] if len(used) > 1 else 0)
        now += 1 / rate(max(flowing, 1))
        moved += 1
        streams.moved(MiB, flowing, now)
        if streams.count != used[-1]:
            used.append(streams.count)
            since = now
    return used


def windows(each, bandwidth=1e9):
    """A link on which a window limits every stream, and the bandwidth all of them."""
    return lambda streams: min(each * streams, bandwidth)


def test_a_stream_that_keeps_the_processor_busy_stays_alone():
    assert transfer(4096, windows(500), busy=1 / 500) == [1]


def test_streams_that_wait_for_the_link_get_company_up_to_the_limit():
    assert transfer(1024, windows(40), busy=1 / 800) == [1, 8]
    assert transfer(1024, windows(40), busy=1 / 160) == [1, 3, 4]


def test_what_the_processor_has_time_for_is_tried_and_no_more():
    # one stream takes a fourth of a processor, so three leave some of it and four do not
    assert transfer(1024, windows(100), busy=1 / 400) == [1, 3, 4]


def test_streams_that_do_not_raise_the_throughput_are_given_up_and_tried_again_ever_more_rarely():
    assert transfer(150, windows(100, bandwidth=100), busy=1 / 2000) == [1, 8, 1]
    assert len(transfer(4096, windows(100, bandwidth=100), busy=1 / 2000)) < 16


def test_growth_ends_where_the_bandwidth_is_used_up():
    assert transfer(2048, windows(25, bandwidth=75), busy=1 / 100)[:4] == [1, 3, 4, 3]


def test_streams_that_are_still_connecting_are_not_judged():
    assert transfer(1024, windows(40), busy=1 / 800, connecting=2.0) == [1, 8]


@pytest.mark.parametrize("most", [1, 3])
def test_there_are_never_more_streams_than_allowed(most):
    assert max(transfer(1024, windows(40), busy=1 / 4000, most=most)) == most


def test_a_small_transfer_is_over_before_anything_is_decided():
    assert transfer(2, windows(40), busy=1 / 400) == [1]


def test_the_first_measurement_is_the_shortest_since_one_stream_alone_uses_a_long_link_meanwhile():
    def moved_before_company(measured, answered=0.0):
        streams, moved = StreamCount(busy=lambda: 0.0, answered=answered), 0
        while streams.count == 1:
            moved += 1
            streams.moved(MiB, 1, moved / measured)
        return moved

    # the first MiB begins it, and each MiB behind it counts
    assert moved_before_company(10) == 1 + 2
    assert moved_before_company(400) == pytest.approx(1 + 400 / 20, abs=1)
    # of a link whose first bytes took long, that is known at once
    assert moved_before_company(10, answered=0.02) == 1 + 1
    assert moved_before_company(400, answered=0.02) == pytest.approx(1 + 400 / 40, abs=1)


def test_a_pause_in_which_a_connection_is_made_again_is_not_measured():
    now, streams = 0.0, StreamCount(busy=lambda: now if now < 1 else now - 1)

    for number in range(400):
        now += 1 / 400
        if number == 20:
            now += 1  # the connection breaks
            streams.restart()
        streams.moved(MiB, 1, now)

    assert streams.count == 1


def test_bytes_that_buffers_take_at_once_are_not_measured():
    def tried(buffered):
        busy = now = 0.0
        streams, moved = StreamCount(buffered=buffered, busy=lambda: busy), 0
        while streams.count == 1:
            moved += 1
            # a millisecond of work for each MiB; the buffers take eight of them without waiting
            busy += 0.001
            now += 0.001 if moved <= 8 else 0.021
            streams.moved(MiB, 1, now)
        return streams.count

    # behind the buffers the link takes a twentieth of a processor, and with them a fifth
    assert tried(buffered=0) < tried(buffered=8 * MiB) == 8


def test_uploads_begin_with_more_streams_the_longer_the_link_is_and_have_one_over_a_short_link():
    trips = (0.0, 0.0005, 0.001, 0.007, 0.009, 0.1)
    assert [part_streams.stream_count(seconds).count for seconds in trips] == [1, 1, 4, 4, 8, 8]
    assert transfer(300, windows(10), 0, streams=part_streams.stream_count(0.0005)) == [1]
    assert transfer(300, windows(10), 0, streams=part_streams.stream_count(0.0))[-1] == 8
