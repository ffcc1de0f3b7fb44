"""How a copy gets into a cache: made in a place of its own, then moved to its address at once and as a whole."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from . import removal, verification
from .copies import CONTENT, READ_ONLY
from .copy_names import take_names
from .directory import CacheDirectory, told, within

_READ_ONLY_FOLDER: Final = 0o555
_IN_THE_WAY: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)


@contextlib.contextmanager
def new_place(directory: CacheDirectory) -> Iterator[Path]:
    """Give a directory for a new copy; unless it was published, it is removed in the end with all in it."""
    with told(directory.wanted):
        folder = Path(tempfile.mkdtemp(prefix=removal.NEW, dir=directory.path()))
    try:
        yield folder
    finally:
        removal.delete(folder)


def write(
    directory: CacheDirectory,
    path: Path,
    pieces: Iterable[bytes | memoryview],
    note: Callable[[bytes | memoryview], None],
) -> int:
    """Write a new content from pieces, each of which `note` gets first; return the number of bytes."""
    with told(directory.wanted):
        file = path.open("wb")
    try:
        for piece in pieces:  # what this raises is none of the cache's errors
            note(piece)
            with told(directory.wanted):
                file.write(piece)
        return file.tell()
    finally:
        with told(directory.wanted):
            file.close()


def publish(directory: CacheDirectory, place: Path, address: str, size: int, scrub: float) -> tuple[Path, bool]:
    """Move the copy made in `place` to its address, unless a right one is there.

    Args:
        directory: That of the cache, made again if it was removed.
        place: What `new_place` gave, with a content whose bytes are right.
        address: Where the copy belongs.
        size: Its bytes.
        scrub: Seconds after which a copy that is there is read again though nothing touched it.

    Returns:
        The directory of the copy that is there now, and whether it is the new one.
    """
    content = place / CONTENT
    is_folder = content.is_dir()
    # Only now: what a directory holds was made through it.
    content.chmod(_READ_ONLY_FOLDER if is_folder else READ_ONLY)
    verification.stamp(place, address, size)
    algorithm, _, value = address.partition(":")
    while True:
        above = within(directory.path(), algorithm, value[:2], make=True)
        assert above is not None
        folder = above / value
        if _moved(place, folder):
            return folder, True
        # A directory cannot replace another: what is there is right, or in the way.
        judged = _inode(folder)
        found = verification.verified(directory.path(), address, size, is_folder=is_folder, scrub=scrub)
        if found is not None:
            return found[0], False
        take_names(folder, content)
        verification.stamp(place, address, size)
        if _inode(folder) == judged:  # else another process has replaced it, and somebody may use that one already
            removal.remove(folder, directory.path())


def _inode(folder: Path) -> int | None:
    try:
        return folder.lstat().st_ino
    except FileNotFoundError:
        return None


def _moved(place: Path, folder: Path) -> bool:
    """Move a complete copy to its place; False if something there has to be judged or removed first."""
    try:
        place.replace(folder)
    except FileNotFoundError:
        if not place.exists():  # somebody removed the whole cache, and the copy with it
            raise
        return False  # the directories above alone
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return False
        raise
    return True
