"""Room of SQLite's write-ahead log, written once, so that commits overwrite it instead of adding to the file.

A sync of a file that has grown writes its new size and blocks, too, which takes about as long again as its content.
SQLite begins a log anew at the start of the file, and takes zeros for its end, as its check does (`wal_check`).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from actorc.storage.rules import MiB
from actorc.storage.server.engines.local.disk.fsops import FsOps

from .wal_check import FRAME_HEADER_SIZE, HEADER_SIZE

_log = logging.getLogger(__name__)

SIZE: Final = 4 * MiB
"""Bytes of the log, at most; what changes between two checkpoints write, if they are puts of some KiB."""


def occupy(log: Path, page_size: int, fsops: FsOps) -> None:
    """Fill the log up to `SIZE` with zeros, and sync it; a disk without room for that keeps it as it is.

    No process may change the database meanwhile.
    """
    try:
        found = log.stat().st_size
        # in whole frames, or the check of a log that is full takes the rest for a frame that was cut off
        frame = FRAME_HEADER_SIZE + page_size
        missing = HEADER_SIZE + (SIZE - HEADER_SIZE) // frame * frame - found
        if missing <= 0 or fsops.room(log.parent) < missing:
            return
        descriptor = os.open(log, os.O_WRONLY | os.O_CLOEXEC)
        try:
            # written and not only allocated: the first write into allocated blocks changes metadata as well
            fsops.write(descriptor, bytes(missing), found)
            fsops.sync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # it saves time and nothing else
        _log.info("no room is made for the log of the index in advance, %s", error)
