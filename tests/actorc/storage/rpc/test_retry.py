from __future__ import annotations

import pytest

from actorc.storage._rpc.retries.retry_policy import RetryPolicy
from actorc.storage.errors import NetworkError, NotFoundError, ResourceExhaustedError

POLICY = RetryPolicy(attempts=5, unreached_attempts=2, base=1.0, cap=4.0, max_asked=10.0)


def pause(error, failures, *, reached=True, elsewhere=False, jitter=1.0):
    return POLICY.pause(error, failures, reached=reached, elsewhere=elsewhere, jitter=lambda: jitter)


def test_the_wait_doubles_up_to_its_cap_and_then_the_policy_gives_up():
    waits = [pause(NetworkError("x"), failures) for failures in range(1, 6)]

    assert waits == [1.0, 2.0, 4.0, 4.0, None]


def test_an_address_that_never_answered_is_given_up_sooner():
    assert pause(NetworkError("x"), 1, reached=False) == 1.0
    assert pause(NetworkError("x"), 2, reached=False) is None


def test_what_cannot_pass_by_itself_is_not_tried_again():
    assert pause(NotFoundError("x"), 1) is None


@pytest.mark.parametrize(("asked", "expected"), [(3.0, 4.0), (11.0, None)])
def test_a_server_that_asks_for_a_pause_gets_it_within_reason(asked, expected):
    assert pause(ResourceExhaustedError("busy", retry_after=asked), 1) == expected


def test_another_server_is_tried_at_once_whatever_pause_the_last_one_asked_for():
    waits = [pause(NetworkError("stopping", retry_after=seconds), 1, elsewhere=True) for seconds in (None, 3.0, 11.0)]

    assert waits == [0.0, 0.0, 0.0]


def test_another_server_is_no_reason_for_more_attempts_or_for_repeating_what_cannot_pass():
    assert pause(NetworkError("x"), 5, elsewhere=True) is None
    assert pause(NotFoundError("x"), 1, elsewhere=True) is None
