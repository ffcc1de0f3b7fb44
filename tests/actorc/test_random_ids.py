"""Random identifiers: none twice, in no thread and in no child."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorc.random_ids import random_id

MANY = 500


def test_an_identifier_is_32_hexadecimal_digits():
    assert all(re.fullmatch("[0-9a-f]{32}", random_id()) for _ in range(MANY))


def test_no_two_threads_get_the_same_one():
    with ThreadPoolExecutor(8) as threads:
        made = [each for own in threads.map(lambda _: [random_id() for _ in range(MANY)], range(8)) for each in own]

    assert len(set(made)) == 8 * MANY


@pytest.mark.forks
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_others_than_its_parent():
    random_id()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, random_id().encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 64).decode()
    os.close(reading)
    os.close(writing)

    assert re.fullmatch("[0-9a-f]{32}", theirs)
    assert theirs not in {random_id() for _ in range(MANY)}
