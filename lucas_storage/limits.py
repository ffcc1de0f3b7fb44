"""Limits on artifacts that strangers may have written, with the reason of each number.

A digest proves that bytes are those that a reference names, and nothing about who wrote them. So sizes and counts that
the bytes claim are compared with these limits before memory or disk is used for them.
"""

from __future__ import annotations

import re
from typing import Final

from .errors import LimitError

STORE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""Logical name of a store in references and settings; a label, so that it can stand in a URI and in a variable."""
EXPANSION: Final = 100
"""Largest ratio of a decoded table to its stored bytes, unless `LUCAS_STORAGE_MAX_EXPANSION` has another one. Tables of
text and numbers reach 3 to 30 with the usual codecs."""
UNASKED: Final = 1 << 30
"""Bytes that a decoded table may always have: a column of one value encodes to almost nothing."""
FILES: Final = 1_000_000
"""Files and empty directories in a directory: three times as many as in the largest public source trees."""
DEPTH: Final = 100
"""Names in a path within a directory; deeper trees are not made in practice, and are slow to walk."""
PATH_BYTES: Final = 3072
"""Bytes of a path within a directory: the 4096 of Linux for one path, less the path of the cache."""
NPY_HEADER: Final = 256 << 10
"""Bytes of the header of an array: a structured dtype of some thousand fields."""
PICKLE_HEADER: Final = 16 << 20
"""Bytes of the header of a pickle: a million of its buffers."""
INT_BITS: Final = 2000
"""Bits of an int that is written in decimal; Python refuses to parse much longer ones, by a setting of the
interpreter."""
TAGGED_BYTES: Final = 4096
"""Bytes of a bytes object that is written within JSON data, a third longer than it is; longer ones are artifacts."""
JSON_DEPTH: Final = 100
"""Levels of nesting that are written: json recurses in C, and a reader's stack may be shorter than the writer's. Data
nested deeper than the reader's stack is refused."""


def allowed(stored: int, ratio: int) -> int:
    """Return the bytes of memory that a value of `stored` bytes may take."""
    return max(UNASKED, stored * ratio)


def check_expansion(decoded: int, stored: int, ratio: int) -> None:
    """Check that the decoded size of a value is in proportion to its stored bytes.

    Raises:
        LimitError: It is larger.
    """
    most = allowed(stored, ratio)
    if decoded > most:
        raise LimitError(
            f"an artifact of {stored} bytes would take {decoded} bytes in memory, and at most {most} are allowed; if "
            "you trust who wrote it, set LUCAS_STORAGE_MAX_EXPANSION to more than "
            f"{decoded // max(1, stored)}"
        )
