"""Memory of frames, kept by the allocator of this process for the next frames.

glibc gives the end of a heap back to the kernel once more of it is free than twice the largest block that was mapped
and freed before. After frames of 1 MiB that is 2 MiB, less than the copies of one frame on its way through gRPC take: a
thread then gave its heap back every few frames, and the kernel cleared 120 MiB of pages anew for each 256 MiB received.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from actorc.storage.rules import MiB

_BLOCK: Final = 4 * MiB


@cache
def keep() -> None:
    """Let each heap keep up to 8 MiB that are free; from the second call on, do nothing.

    A large block is mapped and freed, which is what glibc takes its measure from. It has no effect where the user has
    set that measure (``MALLOC_TRIM_THRESHOLD_`` and the like), and with other allocators.
    """
    # none of it is touched, so it takes no memory
    bytes(_BLOCK)
