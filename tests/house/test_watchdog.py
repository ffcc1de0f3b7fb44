"""No test can keep the others from ending."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HANGING = """
import signal, threading

def test_that_hears_no_signal():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    threading.Event().wait()

def test_after_it():
    pass
"""

IMPATIENT = """
import tests.watchdog

pytest_plugins = ["tests.watchdog"]
tests.watchdog.GRACE_SECONDS = 0.5
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [[], ["-n1"]], ids=["alone", "worker"])
def test_a_test_that_hears_no_signal_is_ended_and_said_to_have_failed(tmp_path, processes):
    tmp_path.joinpath("test_hanging.py").write_text(HANGING)
    tmp_path.joinpath("conftest.py").write_text(IMPATIENT)
    options = ["-p", "no:cacheprovider", "--timeout=0.5", f"--rootdir={tmp_path}", *processes]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        check=False,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 1
    assert "in test_that_hears_no_signal" in ran.stderr
    assert not processes or "1 failed, 1 passed" in ran.stdout
