"""Verified local copies of artifacts, shared by all processes of a user on one host.

::

    <root>/sha256/3f/3f9c…/content       the bytes, read-only
    <root>/sha256/3f/3f9c…/weather.csv   the same file under the name of the value (`copy_names`)
    <root>/manifest/3f/3f9c…/content     the file or the directory of a manifest
    <root>/manifest/3f/3f9c…/.manifest   the manifest, by which it is verified again
    <root>/…/.stamp                      the signatures of the copy when it was verified (`stamps`)
    <root>/objects/3f9/.stamp            those of a file of a server on this machine, of which no copy is made
    <root>/.leases                       which copies are in use (`leases`)

The promise. A copy is there complete and verified or not at all, however many processes write at the same time. A copy
that this process or another has verified once is handed out only while inode, size, mtime and ctime of each of its
files and directories are unchanged, and while the root and every directory above the copy belong to this user, or to
root, and nobody else may write to them. Any other copy is compared with its digest again before it is handed out or
decoded, and replaced if it is wrong. So are copies that were verified before the machine started, or longer ago than
the scrub interval, though nothing touched them: a disk reports no bit that it lost. Links and files of other users are
not followed. A copy in use is never evicted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final

from actorc.storage.files.seekable_reader import BlobFile
from lucas_storage.errors import CacheFullError, DigestMismatchError

from . import copies, copy_names, leases, server_files, stamps, verification
from .copies import CONTENT, MANIFEST, size_of
from .copy_names import top_of
from .directory import CacheDirectory, file_errors
from .eviction import Eviction
from .flights import Flights
from .publishing import new_place, publish, publish_name, write
from .stamps import Stamp
from .verification import LOOKS

SCRUB: Final = 7 * 86_400.0
"""Seconds after which a copy is read again though nothing touched it."""


class Cache:
    """A directory of verified copies, each under an address. Safe to share between threads; a fork makes its own.

    An address is ``sha256:`` and the digest of the bytes, or ``manifest:`` and that of the manifest.

    Args:
        root: Where it lies; made on first use, private to the user. One that cannot be written is replaced by a
            temporary directory of this process, with one warning.
        cap: Bytes beyond which the copies longest unused are removed.
        scrub: Seconds after which a copy is read again though nothing touched it.

    Every method raises `CacheRefusedError` if the directory is not the user's alone, `CacheFullError` if its disk is
    full, and `CacheError` for whatever else the file system says.
    """

    def __init__(self, root: Path, cap: int, scrub: float = SCRUB) -> None:
        self._directory = CacheDirectory(root)
        self._eviction = Eviction(cap)
        self._scrub = scrub
        self._flights = Flights()

    def find(
        self, address: str, size: int | None = None, *, is_folder: bool = False, name: str | None = None
    ) -> Path | None:
        """Return the copy at `address`, as verified, and mark it as used now.

        One of another size than `size`, all files together, or that is no directory where one is wanted, is absent; so
        is one that was changed.

        Args:
            address: Address of the copy.
            size: Its bytes, if that is known.
            is_folder: Whether it must be a directory, rather than a file.
            name: One path segment, under which the copy is returned; made if it is missing, and anew if it was changed.
                None returns the content.
        """
        with self._file_errors():
            found = verification.unchanged(
                self._root(), address, top_of(name), size, is_folder=is_folder, scrub=self._scrub
            )
            if found is not None:
                return found[0] / top_of(name)
            found = self._verified(address, size, is_folder=is_folder)
            if found is None or name is None or top_of(name) == CONTENT:
                return found and found[0] / CONTENT
            with contextlib.suppress(FileNotFoundError):  # evicted, or found wrong, in between
                return publish_name(self._directory, *found, name)
            return None

    def open(self, address: str, size: int) -> BinaryIO | None:
        """Return the copy of one file at `address`, open: the file that was verified, even if its path was replaced.

        None if `find` would find none.
        """
        with self._file_errors():
            for _ in range(LOOKS):  # a name that it gets in between changes its ctime
                found = self._verified(address, size, is_folder=False)
                if found is None:
                    return None
                folder, stamp = found
                try:
                    file = copies.opened(folder / CONTENT)
                except FileNotFoundError:  # evicted in between
                    return None
                # By descriptor: between the look at the path and the opening another process may have replaced it.
                if stamps.signature(os.fstat(file.fileno())) == stamp.files[CONTENT]:
                    return file
                file.close()
            return None

    def vouches_for(self, file: BlobFile, address: str) -> bool:
        """Return whether a file in which a server keeps an object, open, has the digest of `address`.

        Compared once by one thread of this process, and believed as a copy is.
        """
        with self._flights.alone(address), self._file_errors():
            return server_files.is_right(self._root(), address, file, self._scrub)

    def hold(self, address: str, holder: leases.Holder) -> None:
        """Keep the copy at `address`, present or to come, from eviction until the present step ends.

        Outside a step, until `holder` is released.
        """
        with self._file_errors():
            leases.hold(self._leases(), address, holder)

    def hand_out(self, address: str, path: Path, holder: leases.Holder) -> bool:
        """Keep a copy that was just found as `hold` does; return whether `path`, to it or within it, is still there.

        Before the lease was taken another process may have evicted it.
        """
        self.hold(address, holder)
        with self._file_errors():
            return leases.holder_of_step(holder).note(path)

    def is_replaced(self, path: Path, holder: leases.Holder) -> bool:
        """Return whether `path` was handed out and leads to another copy by now, since the first was edited."""
        return leases.holder_of_step(holder).is_replaced(path) and self.address_of(path) is not None

    def address_of(self, path: Path) -> tuple[str, int] | None:
        """Return address and size of the copy that `path`, its content or one of its names, is.

        None if it is no copy, or was changed, or the copy was.
        """
        folder, top = copy_names.located(path)
        address = f"{folder.parent.parent.name}:{folder.name}"
        with self._file_errors():
            try:
                if not self._folder(address).samefile(folder):
                    return None
            except (FileNotFoundError, NotADirectoryError):
                return None
            stamp = self._vouching(folder, top, address, is_folder=path.is_dir())
            return None if stamp is None else (address, stamp.size)

    def _vouching(self, folder: Path, top: str, address: str, *, is_folder: bool) -> Stamp | None:
        """Return a stamp that vouches for the content of a copy, or for a name of it; None if either was changed."""
        found = verification.unchanged(self._root(), address, top, None, is_folder=is_folder, scrub=self._scrub)
        if found is not None:
            return found[1]
        for _ in range(LOOKS):  # a name that it gets in between changes its ctime
            found = self._verified(address, None, is_folder=is_folder)
            if found is None:
                return None
            # The name, too: it shares the files of the content, but not its directories.
            if copy_names.is_unchanged(folder, top, found[1]):
                return found[1]
        return None

    def insert(
        self,
        digest: str | None,
        pieces: Iterable[bytes | memoryview],
        size: int = 0,
        name: str | None = None,
    ) -> Path:
        """Write a copy and return it.

        Args:
            digest: Digest that the pieces must have; None accepts any.
            pieces: The bytes in order; each is used before the next is asked for.
            size: Their number, if that is known, so that a full disk is reported before anything is fetched.
            name: As `find` has it.

        Raises:
            DigestMismatchError: They have another digest; nothing was kept.
        """
        self._check_room(size)
        running = hashlib.sha256()
        with new_place(self._directory) as place:
            written = write(self._directory, place / CONTENT, pieces, running.update)
            found = "sha256:" + running.hexdigest()
            _check_digest(digest, found, written)
            return self._publish(place, found, written, name)

    def make(
        self,
        address: str,
        build: Callable[[Path], None],
        manifest: bytes | None = None,
        size: int = 0,
        name: str | None = None,
    ) -> Path:
        """Let `build` make a file or a directory, of bytes it has verified, and keep it.

        Args:
            address: Address of the copy.
            build: Makes it at a path where nothing is yet; its errors are raised here, and nothing is kept.
            manifest: The text by which it is verified again; without it a copy that was touched is dropped.
            size: Bytes it will have, if that is known.
            name: As `find` has it.
        """
        self._check_room(size)
        with new_place(self._directory) as place:
            build(place / CONTENT)
            with self._file_errors():
                if manifest is not None:
                    (place / MANIFEST).write_bytes(manifest)
                made = size_of(place / CONTENT)
            return self._publish(place, address, made, name)

    def make_room(self, size: int) -> bool:
        """Remove unused copies until `size` more bytes fit onto the disk; return whether any was removed."""
        with self._file_errors():
            return self._eviction.make_room(self._root(), size)

    def found_or_made(self, address: str, size: int, find: Callable[[], Path | None], make: Callable[[], Path]) -> Path:
        """Return what `find` finds, else what `make` makes, which one thread of one process at a time does for a copy.

        The arguments are those of `Flights.found_or_made`.
        """
        return self._flights.found_or_made(address, size, find, make, self._leases)

    def _file_errors(self) -> contextlib.AbstractContextManager[None]:
        return file_errors(self._directory.wanted)

    def _leases(self) -> leases.Leases:
        with self._file_errors():
            return leases.leases_of(self._root())

    def _root(self) -> Path:
        return self._directory.path()

    def _folder(self, address: str) -> Path:
        algorithm, _, value = address.partition(":")
        return self._root() / algorithm / value[:2] / value

    def _verified(self, address: str, size: int | None, *, is_folder: bool) -> tuple[Path, Stamp] | None:
        return verification.verified(self._root(), address, size, is_folder=is_folder, scrub=self._scrub)

    def _check_room(self, size: int) -> None:
        # Before a byte is fetched: a disk that fills up midway takes other programs' writes down with it.
        with self._file_errors():
            if size <= shutil.disk_usage(self._root()).free:
                return
        self.make_room(size)
        with self._file_errors():
            free = shutil.disk_usage(self._root()).free
        if size > free:
            raise CacheFullError(
                f"the cache directory {self._directory.wanted} has no room for {size} bytes, since {free} are free "
                "on its disk; free some, or set LUCAS_STORAGE_CACHE to a directory on a larger one"
            )

    def _publish(self, place: Path, address: str, size: int, name: str | None) -> Path:
        with self._file_errors():
            for turn in range(LOOKS):
                folder, there = publish(self._directory, place, address, size, self._scrub, name)
                if there is None:
                    self._eviction.inserted(self._root(), size, folder)
                if there is None or name is None:
                    break
                try:
                    return publish_name(self._directory, folder, there, name)
                except FileNotFoundError:  # evicted in between, or found wrong: the copy in `place` is left
                    if turn == LOOKS - 1:
                        raise
            return folder / top_of(name)


def _check_digest(expected: str | None, found: str, size: int) -> None:
    if expected is not None and found != expected:
        raise DigestMismatchError(
            f"the {size} bytes read do not match their digest, and were not decoded; expected {expected}, found {found}"
        )
