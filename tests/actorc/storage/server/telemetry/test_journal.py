"""What the log tells of calls: a line for each that was let in, and of the others a number once there are many."""

from __future__ import annotations

import logging

import pytest

from actorc.storage.server.telemetry.access_log import AccessLog
from actorc.storage.server.telemetry.ended_call import EndedCall


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(clock, caplog):
    caplog.set_level(logging.INFO)
    return AccessLog(clock)


def ended(*, proved):
    told = {"method": "HeadObject", "status": "OK" if proved else "UNAUTHENTICATED", "bucket": "", "key": ""}
    rest = {"size": 0, "seconds": 0.0, "request_id": "id", "peer": "ipv4:127.0.0.1:1", "access_key": ""}
    return EndedCall(**told, **rest, proved=proved)


def lines(caplog, word):
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith(word)]


def test_whoever_is_let_in_has_a_line_for_every_call(journal, caplog):
    for _ in range(1000):
        journal.record(ended(proved=True))

    assert len(lines(caplog, "HeadObject OK")) == 1000


def test_strangers_have_a_hundred_lines_and_then_a_number(journal, clock, caplog):
    for _ in range(350):
        journal.record(ended(proved=False))
    clock.now = 10.0
    journal.record(ended(proved=True))

    assert len(lines(caplog, "HeadObject UNAUTHENTICATED")) == 100
    assert lines(caplog, "250 more") == [
        "250 more calls that proved no key were refused in 10 s; no line was written for them"
    ]


def test_strangers_have_lines_again_after_a_while(journal, clock, caplog):
    for now in (0.0, 10.0, 20.0):
        clock.now = now
        for _ in range(60):
            journal.record(ended(proved=False))

    assert len(lines(caplog, "HeadObject UNAUTHENTICATED")) == 180
    assert len(caplog.records) == 180


def test_at_the_end_nothing_is_left_untold(journal, caplog):
    for _ in range(101):
        journal.record(ended(proved=False))
    journal.close()

    assert len(lines(caplog, "1 more")) == 1


def test_the_numbers_count_every_call(journal):
    heard = []
    journal.listeners.append(heard.append)
    for _ in range(500):
        journal.record(ended(proved=False))

    assert len(heard) == 500
