from __future__ import annotations

import pytest

from actorc.storage._retry import RetryPolicy
from actorc.storage.errors import NetworkError, NotFoundError, ResourceExhaustedError

POLICY = RetryPolicy(attempts=5, unreached_attempts=2, base=1.0, cap=4.0, max_asked=10.0)


def pause(error, failures, *, reached=True, jitter=1.0):
    return POLICY.pause(error, failures, reached=reached, jitter=lambda: jitter)


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
