"""Until when things may last, checked against a list of them, and the thread that looks."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.alarm import Alarm
from actorc.controller.client.session.barriers import Barriers
from actorc.controller.client.session.call_deadlines import Deadlines
from actorc.controller.client.timeouts import Timeouts

SECONDS = 30
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "end", "hold", "resume", "look"]),
        st.integers(0, 9),
        st.sampled_from([1.0, 2.5, 7.0]),
        st.floats(0, 3),
    ),
    max_size=60,
)


@given(EVENTS)
def test_what_is_due_is_what_lasted_too_long_and_was_not_held(events):
    deadlines, expected, now, is_held = Deadlines(), {}, 0.0, False
    for event, key, seconds, passed in events:
        now += passed
        match event:
            case "begin" if key not in expected:
                deadlines.begin(key, seconds, now)
                expected[key] = now + seconds, seconds
            case "end":
                deadlines.end(key)
                expected.pop(key, None)
            case "hold":
                deadlines.hold()
                is_held = True
            case "resume":
                deadlines.resume(now)
                if is_held:
                    expected = {each: (now + lasts, lasts) for each, (_, lasts) in expected.items()}
                is_held = False
            case "look":
                due = deadlines.due(now)
                late = {each for each, (until, _) in expected.items() if until <= now and not is_held}
                assert set(due) == late
                assert len(due) == len(late)
                for each in due:
                    del expected[each]
        until = [] if is_held else [until for until, _ in expected.values()]
        assert deadlines.next() == min(until, default=None)


def test_marks_are_answered_in_their_order():
    barriers = Barriers()
    barriers.put(None, 0.0)
    barriers.put("f", 1.0)
    barriers.put("g", 2.0)

    assert barriers.oldest() == ("f", 1.0)
    barriers.answer()
    assert barriers.oldest() == ("f", 1.0)
    barriers.answer()
    assert barriers.oldest() == ("g", 2.0)
    barriers.answer()
    assert barriers.oldest() is None
    barriers.answer()  # of a platform that answers more than it was asked
    assert barriers.are_answered


def test_a_platform_that_answers_what_was_sent_behind_a_mark_answers_no_marks():
    barriers = Barriers()
    barriers.put("f", 1.0)
    barriers.overtake(0)
    assert barriers.are_answered

    barriers.overtake(1)

    assert not barriers.are_answered
    assert barriers.oldest() is None


def test_an_alarm_rings_when_it_is_due_and_as_it_says_itself():
    rang, times = threading.Event(), []

    def ring(now):
        times.append(now)
        if len(times) < 3:
            return now + 0.01
        rang.set()
        return None

    alarm = Alarm(ring, "test")
    begun = time.monotonic()
    alarm.set(begun + 100)
    alarm.set(None)
    alarm.set(begun + 0.01)
    assert rang.wait(SECONDS)
    alarm.stop()

    assert len(times) == 3
    assert times[0] >= begun + 0.01


def test_an_alarm_that_is_stopped_rings_no_more_and_leaves_no_thread():
    alarm = Alarm(lambda now: now, "stopped")
    alarm.set(time.monotonic() + 100)
    (thread,) = [each for each in threading.enumerate() if each.name == "stopped"]
    alarm.stop()
    thread.join(SECONDS)
    alarm.set(time.monotonic())

    assert not thread.is_alive()
    assert "stopped" not in {each.name for each in threading.enumerate()}


def test_timeouts_have_defaults_that_let_ignis_speak_first(monkeypatch):
    for name in ("SESSION", "DEFINITION", "CALL", "FETCH"):
        monkeypatch.delenv(f"IGNIS_{name}_TIMEOUT", raising=False)
    timeouts = Timeouts.from_environment()

    assert timeouts == Timeouts(session=10, definition=600, call=None, fetch=330)
    assert timeouts.of_call(None) == 330


def test_timeouts_come_from_the_environment_and_a_function_s_own_goes_first(monkeypatch):
    for number, name in enumerate(("SESSION", "DEFINITION", "CALL", "FETCH"), 1):
        monkeypatch.setenv(f"IGNIS_{name}_TIMEOUT", str(number))
    timeouts = Timeouts.from_environment()

    assert timeouts == Timeouts(session=1, definition=2, call=3, fetch=4)
    assert timeouts.of_call(None) == 3
    assert timeouts.of_call(0.5) == 0.5


@pytest.mark.parametrize("given", ["soon", "0", "-1", "inf", "nan"])
def test_what_is_no_time_is_refused_at_once(monkeypatch, given):
    from actorc.controller.client.address import ControllerChoice
    from actorc.controller.errors import ControllerError

    monkeypatch.setenv("IGNIS_CALL_TIMEOUT", given)

    with pytest.raises(ControllerError, match=r"\(from IGNIS_CALL_TIMEOUT\) is no number of seconds"):
        ControllerChoice()
