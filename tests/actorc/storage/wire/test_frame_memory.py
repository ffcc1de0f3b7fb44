"""What the allocator of a process keeps; each in a process of its own, since it is said once and for all threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the measure is glibc's")

# a frame and its copies, freed and taken again, on a thread as those of gRPC
FRAMES = """
import resource, sys, threading
from actorc.storage._wire import frame_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def run():
    # behind the first frame none is mapped on its own any more
    bytearray(MiB + 4096)
    before = faults()
    for _ in range(ROUNDS):
        frames = [bytearray(b"x") * MiB for _ in range(COPIES)]
        frames.clear()
    print(faults() - before)

MiB, COPIES, ROUNDS = 1 << 20, 5, 20
if "keep" in sys.argv:
    frame_memory.keep()
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
PAGES = 5 * 20 * 256  # of all frames


def faults(*arguments, **settings):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "PYTHONM"))}
    command = [sys.executable, "-c", FRAMES, *arguments]
    done = subprocess.run(command, env=env | settings, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_process_that_keeps_memory_of_frames_takes_it_from_the_kernel_once():
    assert faults("keep") < PAGES / 10


def test_without_it_the_kernel_clears_the_pages_of_each_frame_anew():
    assert faults() > PAGES / 2


def test_a_user_who_has_set_how_much_is_kept_is_obeyed():
    assert faults("keep", MALLOC_TRIM_THRESHOLD_=str(64 << 10)) > PAGES / 2
