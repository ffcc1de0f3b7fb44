"""A bundle that is opened to be imported: a ZIP file of a stranger, checked before anything of it is used."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from fastcrc import crc32

from actorc.storage.files.unsized_files import refuse_irregular
from actorc.storage.rules import MiB
from lucas_storage.errors import BundleError

from .contents import NAME, TEXT_MAX, Contents, Entry

_ENCRYPTED: Final = 1
"""Flag of an entry."""
_HEADER: Final = 30
"""Bytes before the name of an entry in the file, at least."""

_DIRECTORY_MAX: Final = 64 * MiB
"""Bytes of the list of entries, half a million: more than `bundle.json` can list."""
_END: Final = b"PK\x05\x06"
"""Begins the end of a ZIP file, which says how long that list is; behind it there is at most a comment."""
_LARGE_END: Final = b"PK\x06\x06"
_LARGE: Final = 56
"""Bytes of the end of a file of more than 4 GiB."""
_END_MAX: Final = 22 + 65_535 + 20 + _LARGE
"""Bytes of the longest end, with those before it in a file of more than 4 GiB."""
_LOCATOR: Final = b"PK\x06\x07"
"""Begins what says where the end of the larger form is."""
_SEE_LARGE: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Archive:
    """An open bundle. Safe to share between threads.

    Nothing is unpacked into files, so no name of an entry is ever a path; a wrong one is refused all the same, since
    people unpack bundles by other programs.
    """

    path: Path
    contents: Contents
    _zip: ZipFile
    # Guards the count of open entries, by which the file is closed.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path) -> Iterator[Self]:
        """Yield the bundle in a file.

        Raises:
            BundleError: It is none, or one of its entries breaks a rule; names the entry.
            FileNotFoundError: There is no such file.
        """
        status = path.stat()
        refuse_irregular(status, path)
        # Before the entries are read, all of which are held in memory.
        with _named(path):
            directory = _directory_size(path, status.st_size)
        if directory > _DIRECTORY_MAX:
            raise BundleError(f"{path.name} has more entries than a bundle; nothing was imported")
        with _named(path):
            archive = ZipFile(path)
        with archive:
            entries = _checked_entries(archive, status.st_size)
            if NAME not in entries:
                raise BundleError(f"{path.name} has no {NAME}, so it is no bundle of a run; 'export' writes one")
            with _named(path):
                contents = Contents.decode(_text(archive, entries[NAME]))
            _check_listed(contents, entries)
            yield cls(path, contents, archive)

    def text(self, entry: Entry) -> bytes:
        """Return a record.

        Raises:
            BundleError: It is too long.
        """
        with _named(self.path):
            return _text(self._zip, self._zip.getinfo(entry.name))

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of an entry, unverified."""
        with _named(self.path), self._lock:
            file = self._zip.open(entry.name)
        try:
            while True:
                with _named(self.path):
                    piece = file.read(MiB)
                if not piece:
                    return
                yield piece
        finally:
            with self._lock:
                file.close()

    def verify(self, progress: Callable[[int], None]) -> dict[str, int]:
        """Compare every entry with its digest, and return the CRC-32C of each by name.

        Args:
            progress: Called with the number of bytes of each piece.

        Raises:
            BundleError: One is damaged; names it.
        """
        return {entry.name: self._verify(entry, progress) for entry in self.contents.entries}

    def _verify(self, entry: Entry, progress: Callable[[int], None]) -> int:
        running, checksum = hashlib.sha256(), 0
        for piece in self.pieces(entry):
            running.update(piece)
            checksum = crc32.iscsi(piece, checksum)
            progress(len(piece))
        if f"sha256:{running.hexdigest()}" != entry.digest:
            raise BundleError(f"{entry.name} of {self.path.name} is damaged or was changed; nothing was imported")
        return checksum


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn the errors of a broken ZIP file into one that names the file."""
    try:
        yield
    except (BadZipFile, EOFError, struct.error, ValueError, OverflowError, NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which is that of an offset that is none
            raise
        raise BundleError(
            f"{path.name} is no bundle, or is incomplete or damaged ({error}); nothing was imported, copy it again"
        ) from error


def _directory_size(path: Path, size: int) -> int:
    """Return the bytes of the list of entries at the end of a ZIP file, as it says; 0 if it says nothing."""
    with path.open("rb") as file:
        file.seek(max(0, size - _END_MAX))
        tail = file.read(_END_MAX)
        at = tail.rfind(_END)
        if at < 0 or len(tail) < at + 22:
            return 0
        said = int.from_bytes(tail[at + 12 : at + 16], "little")
        locator = tail[max(0, at - 20) : at]
        if not locator.startswith(_LOCATOR):
            return said
        # Readers take it from right before the locator, or from where that says; so neither may be too much.
        near = tail[max(0, at - 20 - _LARGE) : max(0, at - 20)]
        file.seek(int.from_bytes(locator[8:16], "little"))
        larger = (
            int.from_bytes(each[40:48], "little") for each in (near, file.read(_LARGE)) if each.startswith(_LARGE_END)
        )
        return max(*larger, said if said != _SEE_LARGE else 0, 0)


def _checked_entries(archive: ZipFile, size: int) -> dict[str, ZipInfo]:
    """Return the entries by name, each checked without its bytes."""
    entries: dict[str, ZipInfo] = {}
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        problem = _problem(info)
        if problem is None and info.filename in entries:
            problem = "is there twice"
        # Overlapping entries would have a small file stand for a huge one.
        if problem is None and info.header_offset < end:
            problem = "lies within another entry"
        if problem is not None:
            raise BundleError(f"the entry {info.orig_filename!r:.200} {problem}; nothing was imported")
        end = info.header_offset + _HEADER + info.file_size
        entries[info.filename] = info
    if end > size:
        raise BundleError("the entries are longer than the file; nothing was imported, copy it again")
    return entries


def _problem(info: ZipInfo) -> str | None:
    """Return why an entry is refused; None if nothing is wrong with it."""
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    if name != info.filename or not name.isprintable() or "\\" in name or ":" in name:
        return "has a name with characters that no bundle uses"
    if any(segment in ("", ".", "..") for segment in name.split("/")):
        return "has a name that leads elsewhere"
    if kind not in (0, stat.S_IFREG):
        return "is a link or no regular file"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type != ZIP_STORED or info.compress_size != info.file_size:
        return "is compressed, and a small file could stand for a huge one"
    return None


def _check_listed(contents: Contents, entries: dict[str, ZipInfo]) -> None:
    """Check that exactly the entries that are listed are there, in their sizes.

    Raises:
        BundleError: One is not.
    """
    listed = {NAME}
    for entry in contents.entries:
        info = entries.get(entry.name)
        if info is None:
            raise BundleError(f"{entry.name!r:.200} is listed and missing; the bundle is incomplete, copy it again")
        if entry.name in listed:
            raise BundleError(f"{entry.name!r:.200} is listed twice; the bundle was changed")
        if info.file_size != entry.size:
            raise BundleError(
                f"{entry.name!r:.200} has {info.file_size} bytes and not the {entry.size} that are listed"
            )
        listed.add(entry.name)
    surplus = next(iter(entries.keys() - listed), None)
    if surplus is not None:
        raise BundleError(f"{surplus!r:.200} is no part of the bundle; nothing was imported")


def _text(archive: ZipFile, info: ZipInfo) -> bytes:
    if info.file_size > TEXT_MAX:
        raise BundleError(f"{info.filename!r:.200} has {info.file_size} bytes, and at most {TEXT_MAX} are read")
    return archive.read(info)
