"""Verification of copies: by their stamps while nothing touched them, else by reading them again."""

from __future__ import annotations

import contextlib
import stat
from dataclasses import replace
from pathlib import Path
from typing import Final

from . import copies, copy_names, stamps
from .copies import READ_ONLY, READ_ONLY_FOLDER
from .directory import within
from .stamps import Signature, Signatures, Stamp

LOOKS: Final = 3
"""Attempts before a copy whose signatures keep changing counts as wrong."""
_WAITED_FOR: Final = 1 << 20
"""Bytes from which on a tick of the clock, some milliseconds, is cheaper than one more verification."""


def verified(root: Path, address: str, size: int | None, *, is_folder: bool, scrub: float) -> tuple[Path, Stamp] | None:
    """Return directory and stamp of a copy, verified by its stamp or by reading it, and mark it as used now.

    None if there is no copy, or it is wrong, of another size, or a file where a directory is wanted.
    """
    folder = _folder(root, address)
    files = folder and copies.signatures(folder)
    if not folder or not files or copies.is_folder(files) != is_folder:
        return None
    if size is not None and copies.bytes_in(files) != size:
        return None
    found = stamps.read(folder)
    if found is None or found.files != files or not found.is_current(address, scrub):
        found = _read_again(folder, address, files, found)
    if found is None:
        return None
    _mark_used(folder)
    return folder, found


def unchanged(
    root: Path, address: str, top: str, size: int | None, *, is_folder: bool, scrub: float
) -> tuple[Path, Stamp] | None:
    """Return directory and stamp of a copy if the stamp still vouches for one name, or for the content, and mark it.

    Reads no bytes; None does not say that the copy is wrong. The arguments are those of `verified`, and `top` is a
    path as `copy_names.top_of` gives it.
    """
    folder = _folder(root, address)
    found = stamps.read(folder) if folder else None
    if not folder or not found or not found.is_current(address, scrub):
        return None
    if copies.is_folder(found.files) != is_folder or size not in (None, found.size):
        return None
    if not copy_names.is_unchanged(folder, top, found):
        return None
    _mark_used(folder)
    return folder, found


def stamp(folder: Path, address: str, size: int) -> None:
    """Stamp a copy that is not published yet, and whose bytes are right, with the names it has."""
    files = copies.signatures(folder)
    if files is None:  # the whole cache was removed
        return
    names = copy_names.own_files(folder, copy_names.names_in(folder), files)
    stamps.settle(names.values())
    settle(files, size, address)
    keep(folder, replace(Stamp.of(address, files, size), names=names))


def settle(files: Signatures, size: int, address: str) -> None:
    """Wait for a tick of the clock where that is cheaper than to read the copy once more."""
    if size >= _WAITED_FOR or address.startswith("manifest:"):
        stamps.settle(files.values())


def keep(folder: Path, stamp: Stamp) -> None:
    """Write a stamp, if there is room for one."""
    with contextlib.suppress(OSError):  # no room, or read-only: the copy is right, and will be read once more
        stamps.write(folder, stamp)


def _folder(root: Path, address: str) -> Path | None:
    algorithm, _, value = address.partition(":")
    return within(root, algorithm, value[:2], value)


def _mark_used(folder: Path) -> None:
    with contextlib.suppress(OSError):  # read-only, or evicted
        stamps.used(folder)


def _read_again(folder: Path, address: str, files: Signatures, before: Stamp | None) -> Stamp | None:
    """Read a copy that was touched, or not read for long; return its new stamp, or None if it is wrong.

    A name that another process gives it meanwhile changes its ctime, so there are several attempts.
    """
    _make_read_only(folder, files)
    for _ in range(LOOKS):
        now = copies.signatures(folder)
        if now is None:
            return None
        # Before it is read, not after: a write in between, within one tick of the clock, would leave the same times.
        settle(now, copies.bytes_in(now), address)
        found = Stamp.of(address, now, copies.bytes_in(now))
        if not copies.is_right(folder, address, now):
            return None
        if copies.signatures(folder) == now:
            found = replace(found, names=_names_read_again(folder, address, before) if before else {})
            keep(folder, found)
            return found
    return None


def _names_read_again(folder: Path, address: str, before: Stamp) -> Signatures:
    """Read the names that have files of their own, and return the signatures of these files where they are right."""
    found: dict[str, Signature] = {}
    for top in copy_names.tops_of(before):
        now = copies.signatures(folder, top)
        if now is None:
            continue
        stamps.settle(now.values())
        if copies.is_right(folder, address, now, top) and copies.signatures(folder, top) == now:
            found.update({path: seen for path, seen in now.items() if path in before.names})
    return found


def _make_read_only(folder: Path, files: Signatures) -> None:
    is_tree = copies.is_folder(files)
    for path, seen in files.items():
        with contextlib.suppress(OSError):  # evicted, or another user's
            mode = stat.S_IMODE((folder / path).lstat().st_mode)
            # Which files of a directory can be executed is part of its content; one that is alone never can.
            is_open = stat.S_ISDIR(seen[0]) or (is_tree and mode & copies.EXECUTES)
            wanted = READ_ONLY_FOLDER if is_open else READ_ONLY
            # Only where it changes something: it gives the file another ctime, under the hands of other readers.
            if mode != wanted:
                (folder / path).chmod(wanted)
