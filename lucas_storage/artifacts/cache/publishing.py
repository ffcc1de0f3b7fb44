"""Publication of a copy: made in a directory of its own, then moved to its address by one rename."""

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
from .directory import CacheDirectory, file_errors, within

_READ_ONLY_FOLDER: Final = 0o555
_IN_THE_WAY: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)


@contextlib.contextmanager
def new_place(directory: CacheDirectory) -> Iterator[Path]:
    """Yield a directory for a new copy; unless the copy is published, it is removed with all in it."""
    with file_errors(directory.wanted):
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
    """Write a new content from pieces, calling `note` with each one first; return the number of bytes."""
    with file_errors(directory.wanted):
        file = path.open("wb")
    try:
        for piece in pieces:  # outside `file_errors`: an OSError of the network is no error of the cache
            note(piece)
            with file_errors(directory.wanted):
                file.write(piece)
        return file.tell()
    finally:
        with file_errors(directory.wanted):
            file.close()


def publish(directory: CacheDirectory, place: Path, address: str, size: int, scrub: float) -> tuple[Path, bool]:
    """Move the copy made in `place` to its address, unless a right one is there.

    Args:
        directory: That of the cache, made again if it was removed.
        place: Directory of `new_place`, with a content whose bytes are right.
        address: Address of the copy.
        size: Its bytes.
        scrub: Seconds after which a copy that is there is read again though nothing touched it.

    Returns:
        The directory of the copy that is there now, and whether it is the new one.
    """
    content = place / CONTENT
    is_folder = content.is_dir()
    # Only now: files cannot be made in a read-only directory. Before the stamp, since it changes the ctime.
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
        # By inode: another process may have replaced the wrong copy by a right one, which is in use by now.
        if _inode(folder) == judged:
            removal.remove(folder, directory.path())


def _inode(folder: Path) -> int | None:
    try:
        return folder.lstat().st_ino
    except FileNotFoundError:
        return None


def _moved(place: Path, folder: Path) -> bool:
    """Move a complete copy to its address; return False if the copy there must be checked or removed first."""
    try:
        place.replace(folder)
    except FileNotFoundError:
        if not place.exists():  # the whole cache was removed, and the new copy with it
            raise
        return False  # only the directories above were removed; they are made again
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return False
        raise
    return True
