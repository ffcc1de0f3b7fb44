"""Files in which a server on this machine keeps its objects: compared with their digest once, and remembered.

::

    <root>/objects/3f9/.stamp    the signature of the file that was compared last, of all digests that begin with 3f9

One file is remembered for each beginning, so what is kept stays below some megabytes, and is never cleaned up. A file
that another one displaced is compared again.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from actorc.storage.errors import IntegrityError
from actorc.storage.files.seekable_reader import BlobFile
from lucas_storage.refs import digest_of

from . import stamps, verification
from .copies import CONTENT
from .directory import within
from .stamps import Stamp

_OBJECTS: Final = "objects"
_BEGINNING: Final = 3
"""Hexadecimal digits that tell remembered files apart: 4096 of them."""


def is_right(root: Path, address: str, file: BlobFile, scrub: float) -> bool:
    """Return whether an open file has the digest of an address.

    It is read, unless it was before and inode, size, mtime and ctime are unchanged since. By descriptor, so no other
    file can take its place.

    Args:
        root: The cache directory.
        address: ``sha256:`` and a digest.
        file: The file.
        scrub: Seconds after which it is read again though nothing touched it.
    """
    seen = stamps.signature(file.status())
    folder = within(root, _OBJECTS, _name(address))
    found = stamps.read(folder) if folder else None
    if found is not None and found.files == {CONTENT: seen} and found.is_current(address, scrub):
        return True
    # Before it is read: a write in between, within one tick of the clock, would leave the same times.
    stamps.settle((seen,))
    # Mapped: a copy of the bytes on their way would take a fifth of the time of their digest.
    if digest_of(_content(file)) != address or stamps.signature(file.status()) != seen:
        return False
    folder = within(root, _OBJECTS, _name(address), make=True)
    assert folder is not None
    verification.keep(folder, Stamp.of(address, {CONTENT: seen}, file.size))
    return True


def _content(file: BlobFile) -> Iterator[memoryview]:
    if file.size:  # of nothing there is no map
        with suppress(IntegrityError):  # it was cut off, so its digest is another one
            yield file.map(mmap.ACCESS_READ)


def _name(address: str) -> str:
    return address.partition(":")[2][:_BEGINNING]
