"""How many heaps the threads of a server share."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the heaps are glibc's")

# threads that all hold memory at once, and then what glibc tells of its heaps
HEAPS = """
import ctypes, threading
from actorc.storage.server.process.heap_limit import limit_heaps

limit_heaps()
barrier = threading.Barrier(9)

def hold():
    memory = bytearray(64 << 10)
    barrier.wait()
    barrier.wait()

for _ in range(8):
    threading.Thread(target=hold).start()
barrier.wait()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
barrier.wait()
"""


def heaps(**settings):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", HEAPS], env=env | settings, capture_output=True, text=True, check=True)
    return done.stdout.count("<heap nr=")


def test_the_threads_of_a_server_share_four_heaps():
    assert heaps() == 4


def test_a_user_who_has_set_their_number_is_obeyed():
    assert heaps(MALLOC_ARENA_MAX="5") == 5
