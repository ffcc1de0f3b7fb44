"""What is accepted of artifacts that anybody may have written, and why so much.

A digest proves that bytes are those that a reference names, and nothing about who wrote them. So what they say of
themselves is compared with these before memory or disk is spent on it.
"""

from __future__ import annotations

from typing import Final

from .errors import LimitError

EXPANSION: Final = 100
"""How many times as large as its stored bytes a decoded table may be, unless `LUCAS_STORAGE_MAX_EXPANSION` says
otherwise. Tables of text and numbers reach 3 to 30 with the usual codecs."""
UNASKED: Final = 1 << 30
"""Bytes that a table may have decoded whatever its stored size: a column of one value encodes to almost nothing."""
FILES: Final = 1_000_000
"""Files and empty directories in a directory: three times what the largest public source trees have."""
DEPTH: Final = 100
"""Names in a path within a directory; deeper ones are made by nobody and slow to walk."""
PATH_BYTES: Final = 3072
"""Bytes of a path within a directory: what Linux takes as one path, 4096, without the way to the cache."""
NPY_HEADER: Final = 256 << 10
"""Bytes of the header of an array: a structured dtype of some thousand fields."""
PICKLE_HEADER: Final = 16 << 20
"""Bytes of the header of a pickle: a million of its buffers."""
JSON_DEPTH: Final = 100
"""Levels of nesting that are written: json recurses in C, and a reader's stack may be shorter than the writer's. What
is nested deeper than the reader's stack is refused."""


def allowed(stored: int, ratio: int) -> int:
    """Return the bytes of memory that a value of `stored` bytes may take."""
    return max(UNASKED, stored * ratio)


def check_expansion(decoded: int, stored: int, ratio: int) -> None:
    """Make sure that a value does not take out of proportion more memory than its stored bytes.

    Raises:
        LimitError: It would.
    """
    most = allowed(stored, ratio)
    if decoded > most:
        raise LimitError(
            f"an artifact of {stored} bytes would take {decoded} bytes in memory, and at most {most} are allowed; if "
            "you trust who wrote it, set LUCAS_STORAGE_MAX_EXPANSION to more than "
            f"{decoded // max(1, stored)}"
        )
