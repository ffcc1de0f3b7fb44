"""Signals to a server process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from actorc.storage.server.process import shutdown

STOPPING = """
import os, signal
from actorc.storage.server.process.shutdown import ShutdownFlag, stop_on_signals

shutdown = ShutdownFlag()
stop_on_signals(shutdown, lambda: print("workers killed", flush=True))
os.kill(os.getpid(), signal.SIGTERM)
shutdown.wait()
print("calls have time to finish", flush=True)
{then}
shutdown.wait()
print("done", flush=True)
"""


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("then", "code", "told"),
    [("", 0, ["done"]), ("os.kill(os.getpid(), signal.SIGINT)", 130, ["workers killed"])],
)
def test_a_first_signal_lets_calls_finish_and_a_second_one_ends_the_process(then, code, told):
    ended = subprocess.run(
        [sys.executable, "-c", STOPPING.format(then=then)], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stdout.splitlines()) == (code, ["calls have time to finish", *told])


@pytest.mark.timeout(20)
def test_a_server_whose_directory_is_removed_is_needed_for_no_url_any_more(tmp_path, monkeypatch):
    monkeypatch.setattr(shutdown, "_LOOK_SECONDS", 0.01)
    folder = tmp_path / "data"
    folder.mkdir()
    flag, asked = shutdown.ShutdownFlag(), threading.Event()

    def in_an_hour():
        asked.set()
        return time.time() + 3600

    shutdown.stop_when_unlocked(folder / ".users.lock", flag, in_an_hour)
    assert asked.wait(10)
    assert not flag.begun
    folder.rmdir()

    flag.wait()


def test_a_server_whose_directory_goes_in_the_moment_in_which_it_looks_ends(tmp_path):
    flag, lock = shutdown.ShutdownFlag(), tmp_path / ".users.lock"
    # seen as there, and gone when it is opened, as between the two
    lock.symlink_to(tmp_path / "gone" / "lock")

    shutdown.stop_when_unlocked(lock, flag)

    flag.wait()
