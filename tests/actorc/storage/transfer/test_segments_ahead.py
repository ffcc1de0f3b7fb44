"""When the next segment of a read is asked for."""

from __future__ import annotations

import threading

from actorc.storage._rpc.payload import Download
from actorc.storage._transfer.segments_ahead import SegmentsAhead

MiB = 1 << 20


def test_the_next_segments_are_asked_for_while_the_last_two_mebibytes_of_others_are_on_their_way():
    asked, go_on = threading.Semaphore(0), threading.Event()

    def begin(part):
        asked.release()

        def pieces():
            for left in range(part.length, 0, -MiB):
                if left <= 2 * MiB:
                    go_on.wait(60)
                yield bytes(MiB)

        return Download(part), pieces()

    with SegmentsAhead(begin, 0, 16 * MiB) as ahead:
        ahead.reach(2)
        try:
            # two that have come but for their ends, and two behind them
            assert all(asked.acquire(timeout=10) for _ in range(4))
        finally:
            go_on.set()
        while (segment := ahead.first()) is not None:
            while ahead.take(segment):
                pass
            ahead.drop_first()
            ahead.reach(2)
