"""Verified local copies of artifacts, shared by all processes of a user on one host.

::

    <root>/sha256/3f/3f9c…/content       the bytes, read-only
    <root>/sha256/3f/3f9c…/weather.csv   the same file under the name it had, for those who ask for a path
    <root>/manifest/3f/3f9c…/content     what a manifest describes; a file, or a directory
    <root>/manifest/3f/3f9c…/.manifest   the manifest, by which it is verified again
    <root>/…/.stamp                      what the copy looked like when it was verified (`lucas_storage.stamps`)
    <root>/.leases                       which copies are in use (`lucas_storage.leases`)

The promise. A copy is there complete and verified or not at all, whoever writes at the same time. What was verified
once, by this process or another, is handed out only while inode, size, mtime and ctime of each of its files and
directories are what they were, and while the root and every directory above the copy belong to this user, or to root,
and nobody else may write to them. Anything else is compared with its digest again before it is handed out or decoded,
and replaced if it is wrong. So are copies that were verified before the machine started, or longer ago than the scrub
interval, though nothing touched them: a disk that lost a bit tells nobody. Links and files of other users are not
followed. What is in use is never evicted.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from . import copies, leases, stamps
from .cache_directory import CacheDirectory, told, within
from .copies import CONTENT, MANIFEST
from .errors import CacheFullError, DigestMismatchError
from .stamps import Signature, Stamp

SCRUB: Final = 7 * 86_400.0
"""Seconds after which a copy is read again though nothing touched it."""
YOUNG: Final = 600.0
"""Seconds after its last use during which a copy is not evicted where processes cannot see what others use."""
ABANDONED: Final = 86_400.0
"""Seconds after which a half-written file has no writer any more."""
_READ_ONLY: Final = 0o444
_NEW: Final = ".new-"
_LOW_WATER: Final = 0.9
"""Share of the cap that eviction leaves filled, so that not every insertion evicts."""
_COUNTED_ANEW: Final = 0.1
"""Share of the cap after whose insertion the directory is looked through, since other processes insert as well."""
_WAITED_FOR: Final = 1 << 20
"""Bytes from which on it is cheaper to wait for a tick of the clock than to verify once more at the next hand-out."""
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_IN_THE_WAY: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]")


class Cache:
    """A directory of verified copies, each under an address.

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
        self._wanted = root
        self._cap = cap
        self._scrub = scrub
        self._held: int | None = None
        self._since = 0
        self._lock = threading.Lock()
        self._flights: dict[str, threading.Lock] = {}
        self._sweeping = threading.Lock()

    def find(self, address: str, size: int | None = None, *, is_folder: bool = False) -> Path | None:
        """Return the copy at `address`, as verified, and mark it as used now.

        One of another size than `size`, all files together, or that is no directory where one is wanted, is absent; so
        is one that was changed.
        """
        with self._told():
            found = self._current(address, size, is_folder=is_folder)
            return found and found[0] / CONTENT

    def open(self, address: str, size: int) -> BinaryIO | None:
        """Return the copy of one file at `address`, open: the very file that was verified, whatever its path leads to.

        None if `find` would find none.
        """
        with self._told():
            found = self._current(address, size, is_folder=False)
            if found is None:
                return None
            folder, stamp = found
            try:
                file = copies.opened(folder / CONTENT)
            except FileNotFoundError:  # evicted in between
                return None
            if stamps.signature(os.fstat(file.fileno())) == stamp.files[CONTENT]:
                return file
            file.close()
            return None

    def hold(self, address: str, holder: leases.Holder) -> None:
        """Keep what is or comes to `address` from being evicted until the present step ends.

        Outside a step, until `holder` lets go of it.
        """
        with self._told():
            leases.hold(leases.leases_of(self._root()), address, holder)

    def address_of(self, path: Path) -> tuple[str, Path] | None:
        """Return the address of the copy that `path` is, under whatever name, and its content.

        None if it is none, or was changed.
        """
        folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 -- resolving would lose the name
        algorithm, value = folder.parent.parent.name, folder.name
        address = f"{algorithm}:{value}"
        with self._told():
            try:
                content = self._folder(address) / CONTENT
                if not (content.parent.samefile(folder) and content.samefile(path)):
                    return None
            except (FileNotFoundError, NotADirectoryError):
                return None
        found = self.find(address, is_folder=path.is_dir())
        return (address, found) if found else None

    def insert(self, digest: str | None, pieces: Iterable[bytes | memoryview], size: int = 0) -> Path:
        """Write a copy and return it.

        Args:
            digest: What the pieces must amount to; None accepts any.
            pieces: The bytes in order.
            size: How many they are, if that is known, so that a disk without room for them is found out at once.

        Raises:
            DigestMismatchError: They amount to something else; nothing was kept.
        """
        self._check_room(size)
        running = hashlib.sha256()
        with self._new_place() as place:
            written = self._write(place / CONTENT, pieces, running.update)
            found = "sha256:" + running.hexdigest()
            _check_digest(digest, found, written)
            return self._publish(place, found, written)

    def make(self, address: str, build: Callable[[Path], None], manifest: bytes | None = None, size: int = 0) -> Path:
        """Let `build` make a file or a directory, of bytes it has verified, and keep it.

        Args:
            address: Where it will be found.
            build: Makes it at a path where nothing is yet; what it raises is raised here, and nothing is kept.
            manifest: By which it is verified again; without it a copy that was touched is gone.
            size: Bytes it will have, if that is known.
        """
        self._check_room(size)
        with self._new_place() as place:
            build(place / CONTENT)
            with self._told():
                if manifest is not None:
                    (place / MANIFEST).write_bytes(manifest)
            return self._publish(place, address, size_of(place / CONTENT))

    def named(self, content: Path, name: str) -> Path:
        """Return the copy `content`, just handed out, under a name of the user's, in the directory of its digest.

        The name is reduced to one harmless path segment. Whatever else has got that name is replaced.
        """
        path = content.with_name(safe_name(name))
        with self._told():
            stamp = stamps.read(content.parent)  # none if there was no room for one
            if not _is_name_of(path, content, stamp):
                _name(content, path)
                if stamp is not None:
                    _look_again(content, path, stamp)
        return path

    def evict(self, address: str) -> None:
        """Remove the copy at `address`, if there is one, whoever uses it."""
        with self._told():
            _remove(self._folder(address), self._root())

    def make_room(self, size: int) -> bool:
        """Remove copies that nobody uses until `size` more bytes fit onto the disk; say whether any was removed."""
        with self._told(), self._sweeping:
            before = _usage(self._root())
            missing = max(0, size - shutil.disk_usage(self._root()).free)
            self._held = self._shrink(max(0, before - missing), None)
            return self._held < before

    @contextlib.contextmanager
    def only_one(self, address: str) -> Iterator[None]:
        """Let one thread of this process at a time fetch `address`; the others find the copy it made."""
        with self._lock:
            lock = self._flights.setdefault(address, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._flights.pop(address, None)

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return told(self._wanted)

    def _root(self) -> Path:
        return self._directory.path()

    def _folder(self, address: str) -> Path:
        algorithm, _, value = address.partition(":")
        return self._root() / algorithm / value[:2] / value

    def _current(self, address: str, size: int | None, *, is_folder: bool) -> tuple[Path, Stamp] | None:
        """Return directory and stamp of a copy that is verified, by its stamp or anew."""
        algorithm, _, value = address.partition(":")
        folder = within(self._root(), algorithm, value[:2], value)
        files = folder and copies.signatures(folder)
        if not folder or not files or copies.is_folder(files) != is_folder:
            return None
        if size is not None and copies.bytes_in(files) != size:
            return None
        stamp = stamps.read(folder)
        if stamp is None or stamp.files != files or not stamp.is_current(address, self._scrub):
            stamp = _verified(folder, address, files)
        if stamp is None:
            return None
        with contextlib.suppress(OSError):  # read-only, or evicted
            stamps.used(folder)
        return folder, stamp

    def _check_room(self, size: int) -> None:
        with self._told():
            if size <= shutil.disk_usage(self._root()).free:
                return
        self.make_room(size)
        with self._told():
            free = shutil.disk_usage(self._root()).free
        if size > free:
            raise CacheFullError(
                f"the cache directory {self._wanted} has no room for {size} bytes, since {free} are free on its disk; "
                "free some, or set LUCAS_STORAGE_CACHE to a directory on a larger one"
            )

    @contextlib.contextmanager
    def _new_place(self) -> Iterator[Path]:
        """Give a directory for a new copy; unless it was published, it is removed in the end with all in it."""
        with self._told():
            folder = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._root()))
        try:
            yield folder
        finally:
            _delete(folder)

    def _write(
        self, path: Path, pieces: Iterable[bytes | memoryview], note: Callable[[bytes | memoryview], None]
    ) -> int:
        with self._told():
            file = path.open("wb")
        try:
            for piece in pieces:  # what this raises is none of the cache's errors
                note(piece)
                with self._told():
                    file.write(piece)
            return file.tell()
        finally:
            with self._told():
                file.close()

    def _publish(self, place: Path, address: str, size: int) -> Path:
        content = place / CONTENT
        with self._told():
            is_folder = content.is_dir()
            content.chmod(
                0o555 if is_folder else _READ_ONLY
            )  # of a directory now: what is within it was made through it
            _stamp(place, address, size)
            algorithm, _, value = address.partition(":")
            while True:
                above = within(self._root(), algorithm, value[:2], make=True)
                assert above is not None
                folder = above / value
                if _moved(place, folder):
                    self._account(size, folder)
                    return folder / CONTENT
                # A directory cannot replace another: what is there is right, or in the way.
                found = self._current(address, size, is_folder=is_folder)
                if found is not None:
                    return found[0] / CONTENT
                _take_names(folder, content)
                _stamp(place, address, size)
                _remove(folder, self._root())

    def _account(self, size: int, keep: Path) -> None:
        with self._sweeping:
            self._since += size
            if self._held is None or self._since > self._cap * _COUNTED_ANEW:
                self._held, self._since = _usage(self._root()), 0
            else:
                self._held += size
            if self._held > self._cap:
                self._held = self._shrink(int(self._cap * _LOW_WATER), keep)

    def _shrink(self, target: int, keep: Path | None) -> int:
        """Remove the copies longest unused until `target` bytes are left, and return what is left."""
        root = self._root()
        held_by = leases.leases_of(root)
        found = sorted(_copies(root))
        held = sum(size for _, size, _ in found)
        for used, size, folder in found:
            if held <= target:
                break
            with held_by.unused(f"{folder.parent.parent.name}:{folder.name}") as free:
                spared = not held_by.are_shared and used > time.time() - YOUNG
                gone = None if spared or not free or folder == keep else _set_aside(folder, root)
            if gone is not None:
                _delete(gone)
                held -= size
        return held


def safe_name(name: str) -> str:
    """Return `name` as one path segment that neither hides nor leads anywhere."""
    flat = _UNSAFE.sub("_", name).lstrip(".")
    return flat if flat and flat != CONTENT else f"_{flat}"


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    status = path.stat()
    if not path.is_dir():
        return status.st_size
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)  # noqa: PTH118 -- ten thousand files


def _check_digest(expected: str | None, found: str, size: int) -> None:
    if expected is not None and found != expected:
        raise DigestMismatchError(
            f"the {size} bytes read do not match their digest, and were not decoded; expected {expected}, found {found}"
        )


def _verified(folder: Path, address: str, files: dict[str, Signature]) -> Stamp | None:
    """Read a copy that was touched, or not read for long; return its new stamp, or None if it is wrong."""
    if not copies.is_right(folder, address, files):
        return None
    if copies.signatures(folder) != files:  # written to while it was read
        return None
    content = folder / CONTENT
    # Only where it changes something: it gives the file another ctime, under the hands of other readers.
    if not copies.is_folder(files) and stat.S_IMODE(content.lstat().st_mode) != _READ_ONLY:
        with contextlib.suppress(OSError):
            content.chmod(_READ_ONLY)
    return _stamp(folder, address, copies.bytes_in(files))


def _stamp(folder: Path, address: str, size: int) -> Stamp | None:
    """Stamp a copy whose bytes are right."""
    files = copies.signatures(folder)
    if files is None:
        return None
    _settle(files, size, address)
    stamp = Stamp.of(address, files, size)
    _keep(folder, stamp)
    return stamp


def _settle(files: dict[str, Signature], size: int, address: str) -> None:
    if size >= _WAITED_FOR or address.startswith("manifest:"):
        stamps.settle(files.values())


def _keep(folder: Path, stamp: Stamp) -> None:
    with contextlib.suppress(OSError):  # no room, or read-only: the copy is right, and will be read once more
        stamps.write(folder, stamp)


def _is_name_of(path: Path, content: Path, stamp: Stamp | None) -> bool:
    """Say whether a name is the content's: the same file, the link to a directory, or a copy as it was made."""
    try:
        found, wanted = (stamps.signature(os.lstat(one)) for one in (path, content))
        if stat.S_ISLNK(found[0]):
            return stat.S_ISDIR(wanted[0]) and os.readlink(path) == CONTENT  # noqa: PTH115 -- beside lstat
    except FileNotFoundError:
        return False
    return found == wanted or (stamp is not None and found == stamp.names.get(path.name))


def _name(content: Path, path: Path) -> None:
    """Let a content have one more name, in place of whatever has it now."""
    temporary = path.with_name(f"{_NEW}{os.urandom(8).hex()}")
    try:
        if content.is_dir():
            temporary.symlink_to(CONTENT, target_is_directory=True)
        else:
            _link_or_copy(content, temporary)
        if path.is_dir() and not path.is_symlink():
            _delete(path)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _link_or_copy(content: Path, path: Path) -> None:
    try:
        os.link(content, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(content, path)
        path.chmod(_READ_ONLY)


def _look_again(content: Path, path: Path, stamp: Stamp) -> None:
    """Stamp a content anew after it got a name, which changed its ctime, unless it was changed otherwise meanwhile."""
    now = stamps.signature(os.lstat(content))
    if now[:-1] != stamp.files[CONTENT][:-1]:
        return
    named = {} if copies.is_folder(stamp.files) else {path.name: stamps.signature(os.lstat(path))}
    _settle({CONTENT: now, **named}, stamp.size, stamp.address)
    # Only one that is a file of its own is remembered: the others look like the content.
    names = {name: found for name, found in named.items() if found[1] != now[1]}
    _keep(content.parent, stamp.seen_again({**stamp.files, CONTENT: now}, {**stamp.names, **names}))


def _take_names(folder: Path, content: Path) -> None:
    """Give a new content the names that the one in its way had: somebody may be about to open one."""
    for path in folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ():
        if path.name != CONTENT and not path.name.startswith("."):
            _name(content, content.with_name(path.name))


def _moved(place: Path, folder: Path) -> bool:
    """Move a complete copy to its place; False if something there has to be judged or removed first."""
    try:
        place.replace(folder)
    except FileNotFoundError:  # somebody removed the directories above in between
        return False
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return False
        raise
    return True


def _copies(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield (last use, bytes, directory) of every copy."""
    for folder in _folders(root):
        with contextlib.suppress(OSError):
            content = folder / CONTENT
            size = stamps.size_in(folder)
            if size is None:  # of an earlier version, or damaged
                yield content.lstat().st_mtime, size_of(content), folder
            else:
                yield stamps.used_at(folder), size, folder


def _folders(root: Path) -> Iterator[Path]:
    for algorithm in ("sha256", "manifest"):
        for above in _listed(root / algorithm):
            yield from _listed(above)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # removed meanwhile
        return []


def _usage(root: Path) -> int:
    _sweep(root)
    return sum(size for _, size, _ in _copies(root))


def _sweep(root: Path) -> None:
    """Remove what processes that were killed left half-written."""
    limit = time.time() - ABANDONED
    for path in _listed(root):
        with contextlib.suppress(OSError):
            if path.name.startswith(_NEW) and path.lstat().st_mtime < limit:
                _delete(path)


def _set_aside(folder: Path, root: Path) -> Path | None:
    """Take a copy out of its place, at once and as a whole; what is returned is to be deleted."""
    gone = root / f"{_NEW}{os.urandom(8).hex()}"
    try:
        folder.replace(gone)
    except FileNotFoundError:
        return None
    return gone


def _remove(folder: Path, root: Path) -> None:
    """Remove a copy. Open files and maps stay valid."""
    gone = _set_aside(folder, root)
    if gone is not None:
        _delete(gone)


def _delete(path: Path) -> None:
    """Remove what nobody can find any more; what cannot be removed is swept another time."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)  # noqa: PTH101 -- beside os.walk, which gives names
    shutil.rmtree(path, ignore_errors=True)
