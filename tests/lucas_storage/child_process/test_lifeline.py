"""A process that holds a lifeline ends when its parent does, and so does what it started."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # processes

SCRIPT = """
import os, re, subprocess, sys
from lucas_storage.child_process import lifeline

end, by_kernel, is_stuck = int(sys.argv[1]), sys.argv[2] == "True", sys.argv[3] == "True"
lifeline.hold(end, by_kernel=by_kernel)
other = subprocess.Popen(["sleep", "600"])
print(os.getpid(), other.pid, flush=True)
if is_stuck:
    re.match(r"(a+)+$", "a" * 60 + "b")  # in C, without letting another thread run
other.wait()
"""


def started(*, by_kernel, is_stuck=False, least=0):
    ours, theirs = os.pipe()
    if ours < least:
        low, ours = ours, fcntl.fcntl(ours, fcntl.F_DUPFD, least)
        os.close(low)
    command = [sys.executable, "-c", SCRIPT, str(ours), str(by_kernel), str(is_stuck)]
    process = subprocess.Popen(command, pass_fds=(ours,), stdout=subprocess.PIPE, start_new_session=True)
    os.close(ours)
    return process, theirs


@pytest.mark.parametrize(
    ("by_kernel", "is_stuck"),
    [
        (False, False),
        pytest.param(True, False, marks=pytest.mark.skipif(sys.platform != "linux", reason="of Linux")),
        pytest.param(True, True, marks=pytest.mark.skipif(sys.platform != "linux", reason="of Linux")),
    ],
)
def test_the_group_is_killed_when_the_other_end_closes(by_kernel, is_stuck):
    process, lifeline = started(by_kernel=by_kernel, is_stuck=is_stuck)
    pids = process.stdout.readline().split()
    assert all(Path(f"/proc/{int(pid)}").exists() for pid in pids) or sys.platform != "linux"

    os.close(lifeline)
    with process.stdout as output:
        output.read()  # to its end, which is that of the other process, too

    assert process.wait() == -9


@pytest.mark.parametrize("by_kernel", [False, True])
def test_an_end_that_was_closed_before_kills_as_well(by_kernel):
    process, lifeline = started(by_kernel=by_kernel)
    os.close(lifeline)
    with process.stdout as output:
        output.read()

    assert process.wait() == -9


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= 2000, reason="so many files cannot be open at the same time"
)
def test_a_program_with_a_thousand_open_files_has_a_lifeline_too():
    process, lifeline = started(by_kernel=True, least=1500)
    process.stdout.readline()
    os.close(lifeline)
    with process.stdout as output:
        output.read()

    assert process.wait() == -9
