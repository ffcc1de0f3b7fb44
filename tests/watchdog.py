"""A plugin of pytest that ends a process whose test hangs where its time limit cannot reach it.

pytest-timeout raises an error in the main thread, once. That does not end a thread which waits inside a library without
listening for signals, nor one that, after the error, waits again while it cleans up. Here a thread of the interpreter's
own counts the time: it writes down where each thread is and ends the process, which xdist reports as a failure of the
test before it goes on with another process.
"""

from __future__ import annotations

import faulthandler
import os
import sys

import pytest

GRACE_SECONDS = 60
"""For a test to clean up after its time limit, and for a process to end after its last test."""

WHERE = pytest.StashKey[int]()


def pytest_configure(config):
    # what is captured of a process is lost when it ends, and xdist has put an object without a file for sys.stderr
    config.stash[WHERE] = os.dup(sys.__stderr__.fileno())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if limit := limit_of(item):
        faulthandler.dump_traceback_later(limit + GRACE_SECONDS, exit=True, file=item.config.stash[WHERE])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_unconfigure(config):
    # The interpreter of a worker ends next, and waits for threads that are left. Nobody takes this one back.
    if hasattr(config, "workerinput"):
        faulthandler.dump_traceback_later(GRACE_SECONDS, exit=True, file=config.stash[WHERE])


def limit_of(item):
    """The time limit of a test in seconds, or 0 where it has none, as under a debugger."""
    marker = item.get_closest_marker("timeout")
    if marker and marker.args:
        return float(marker.args[0])
    return float(item.config.getoption("timeout", None) or item.config.getini("timeout") or 0)
