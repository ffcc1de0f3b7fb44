"""Publication of a copy, and of a name of it: made in a directory of its own, then moved to its place by one rename."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from actorc.storage.files import file_copies

from . import copies, copy_names, removal, stamps, verification
from .copies import CONTENT, READ_ONLY
from .copy_names import top_of
from .directory import MODE, CacheDirectory, file_errors, within
from .stamps import Stamp
from .verification import LOOKS

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
        file = path.open("wb", buffering=0)
    size = 0
    try:
        for piece in pieces:  # outside `file_errors`: an OSError of the network is no error of the cache
            note(piece)
            with file_errors(directory.wanted):
                file_copies.write(file.fileno(), piece, size)
            size += len(piece)
        return size
    finally:
        with file_errors(directory.wanted):
            file.close()


def publish(
    directory: CacheDirectory, place: Path, address: str, size: int, scrub: float, name: str | None
) -> tuple[Path, Stamp | None]:
    """Move the copy made in `place` to its address, unless a right one is there.

    Args:
        directory: That of the cache, made again if it was removed.
        place: Directory of `new_place`, with a content whose bytes are right.
        address: Address of the copy.
        size: Its bytes.
        scrub: Seconds after which a copy that is there is read again though nothing touched it.
        name: A name that the copy gets as well, if it is moved.

    Returns:
        The directory of the copy that is there now, and the stamp of one that was there before; None if it is the new
        one.
    """
    content = place / CONTENT
    is_folder = content.is_dir()
    # Only now: files cannot be made in a read-only directory. Before the stamp, since it changes the ctime.
    if is_folder:
        copy_names.close(content)
    else:
        content.chmod(READ_ONLY)
    # Before the stamp, too, since links change the ctime of every file.
    if name is not None:
        copy_names.link(place, name)
    verification.stamp(place, address, size)
    algorithm, _, value = address.partition(":")
    while True:
        above = within(directory.path(), algorithm, value[:2], make=True)
        assert above is not None
        folder = above / value
        if _moved(place, folder):
            return folder, None
        # A directory cannot replace another: what is there is right, or in the way.
        judged = _inode(folder)
        found = verification.verified(directory.path(), address, size, is_folder=is_folder, scrub=scrub)
        if found is not None:
            return found
        for kept in copy_names.names_to_keep(folder):
            copy_names.link(place, kept)
        verification.stamp(place, address, size)
        # By inode: another process may have replaced the wrong copy by a right one, which is in use by now.
        if _inode(folder) == judged:
            removal.remove(folder, directory.path())


def publish_name(directory: CacheDirectory, folder: Path, stamp: Stamp, name: str) -> Path:
    """Return a copy under a name, made if it is missing or was changed.

    Args:
        directory: That of the cache.
        folder: The directory of the copy.
        stamp: Stamp of the copy, just verified.
        name: One path segment.
    """
    path = folder / top_of(name)
    within(folder, *path.relative_to(folder).parts[:-1], make=True)
    if copy_names.is_linked(folder, top_of(name), stamp):
        return path
    before = copies.signatures(folder)
    with new_place(directory) as place:
        made = place / CONTENT
        if path.is_file() and not copies.is_folder(stamp.files):
            # A step may have put another file there. An inode of its own tells the file that was handed out from the
            # one that takes its place.
            shutil.copy(folder / CONTENT, made)
        else:
            copy_names.link_all(folder / CONTENT, made)
        _put(made, path, folder, stamp)
    copy_names.close(path)
    if before == stamp.files:  # else it has to be read again
        _look_again(folder, name, stamp)
    return path


def _put(made: Path, path: Path, folder: Path, stamp: Stamp) -> None:
    """Move a complete name to its path, in the place of one that is not right."""
    for turn in range(LOOKS):
        try:
            made.replace(path)
        except OSError as error:
            if error.errno not in _IN_THE_WAY or turn == LOOKS - 1:
                raise
        else:
            return
        if copy_names.is_linked(folder, top_of(path.name), stamp):  # of another process, which may use it already
            return
        # Moved away as a whole, and deleted with the place: a name that is deleted file by file could be found half
        # there. Nobody can move a directory of his that he may not write to.
        with contextlib.suppress(FileNotFoundError):
            if not path.is_symlink() and path.is_dir():
                path.chmod(MODE)
            path.replace(made.with_name(f"{turn}"))


def _look_again(folder: Path, name: str, stamp: Stamp) -> None:
    """Stamp a copy anew after it got a name, which changed the ctime of its files, unless another change came in."""
    now = copies.signatures(folder)
    if now is None or _but_for_ctime(now) != _but_for_ctime(stamp.files):
        return
    names = copy_names.own_files(folder, [name], now)
    stamps.settle(names.values())  # always, since they are believed for as long as the stamp is kept
    verification.settle(now, stamp.size, stamp.address)
    verification.keep(folder, stamp.seen_again(now, {**stamp.names, **names}))


def _but_for_ctime(files: stamps.Signatures) -> dict[str, tuple[int, ...]]:
    return {path: seen[:-1] for path, seen in files.items()}


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
