"""Verified local copies of artifacts, shared by all processes of a user on one host.

::

    <root>/sha256/3f/3f9c…/content       the bytes, read-only
    <root>/sha256/3f/3f9c…/weather.csv   the same file under the name it had, for those who ask for a path
    <root>/manifest/3f/3f9c…/content     what a manifest describes; a file, or a directory

A copy is there complete and verified or not at all, whoever writes at the same time. Digests are checked as a copy is
made; from then on the file system is trusted, and only the size is looked at.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from . import scratch
from .errors import DigestMismatchError

logger = logging.getLogger(__name__)

CONTENT: Final = "content"
YOUNG: Final = 600.0
"""Seconds after its last use during which a copy is not evicted: somebody may be about to open it."""
ABANDONED: Final = 86_400.0
"""Seconds after which a half-written file has no writer any more."""
_NEW: Final = ".new-"
_LOW_WATER: Final = 0.9
"""Share of the cap that eviction leaves filled, so that not every insertion evicts."""
_IN_THE_WAY: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]")


class Cache:
    """A directory of verified copies, each under an address.

    An address is ``sha256:`` and the digest of the bytes, or ``manifest:`` and that of the manifest.

    Args:
        root: Where it lies; made on first use, private to the user. One that cannot be written is replaced by a
            temporary directory of this process, with one warning.
        cap: Bytes beyond which the copies longest unused are removed.
    """

    def __init__(self, root: Path, cap: int) -> None:
        self._wanted = root
        self._cap = cap
        self._held: int | None = None
        self._lock = threading.Lock()
        self._flights: dict[str, threading.Lock] = {}
        self._root: Path | None = None

    def find(self, address: str, size: int, *, is_folder: bool = False) -> Path | None:
        """Return the copy at `address`, marked as used now.

        One of another size than `size`, all files together, or that is no directory where one is wanted, is absent.
        """
        path = self._folder(address) / CONTENT
        try:
            if path.is_dir() != is_folder or size_of(path) != size:
                return None
            os.utime(path)
        except OSError:
            return None
        return path

    def address_of(self, path: Path) -> tuple[str, Path] | None:
        """Return the address of the copy that `path` is, under whatever name, and its content; None if it is none."""
        folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 -- resolving would lose the name
        algorithm, value = folder.parent.parent.name, folder.name
        try:
            content = self._folder(f"{algorithm}:{value}") / CONTENT
            same = content.parent.samefile(folder) and content.samefile(path)
        except OSError:
            return None
        return (f"{algorithm}:{value}", content) if same else None

    def insert(self, digest: str | None, pieces: Iterable[bytes | memoryview]) -> Path:
        """Write a copy and return it.

        Args:
            digest: What the pieces must amount to; None accepts any.
            pieces: The bytes in order.

        Raises:
            DigestMismatchError: They amount to something else; nothing was kept.
        """
        running = hashlib.sha256()
        with self._new_place() as temporary:
            with temporary.open("wb") as file:
                for piece in pieces:
                    running.update(piece)
                    file.write(piece)
                size = file.tell()
            found = "sha256:" + running.hexdigest()
            _check_digest(digest, found, size)
            return self._publish(temporary, found, size)

    def make(self, address: str, build: Callable[[Path], None]) -> Path:
        """Let `build` make a file or a directory, of bytes it has verified, and keep it.

        Args:
            address: Where it will be found.
            build: Makes it at a path where nothing is yet; what it raises is raised here, and nothing is kept.
        """
        with self._new_place() as temporary:
            build(temporary)
            return self._publish(temporary, address, size_of(temporary))

    def named(self, content: Path, name: str) -> Path:
        """Return the copy `content` under a name of the user's, in the directory of its digest.

        The name is reduced to one harmless path segment.
        """
        path = content.with_name(safe_name(name))
        if path.exists():
            return path
        try:
            if content.is_dir():
                path.symlink_to(CONTENT, target_is_directory=True)
            else:
                os.link(content, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            _copy(content, path)
        return path

    def evict(self, address: str) -> None:
        """Remove the copy at `address`, if there is one."""
        _remove(self._folder(address), self._writable())

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

    def _folder(self, address: str) -> Path:
        algorithm, _, value = address.partition(":")
        return self._writable() / algorithm / value[:2] / value

    def _writable(self) -> Path:
        if self._root is None:
            with self._lock:
                self._root = self._root or self._prepare()
        return self._root

    def _prepare(self) -> Path:
        try:
            self._wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._wanted):
                return self._wanted
        except OSError as error:
            instead = scratch.lasting()
            logger.warning(
                "the cache directory %s cannot be written (%s); copies live in %s until this process ends. "
                "Set LUCAS_STORAGE_CACHE to a directory of yours",
                self._wanted,
                error.strerror,
                instead,
            )
            return instead

    @contextlib.contextmanager
    def _new_place(self) -> Iterator[Path]:
        """Give a path where nothing is; what is left there in the end is removed."""
        folder = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._writable()))
        try:
            yield folder / CONTENT
        finally:
            _delete(folder)

    def _publish(self, temporary: Path, address: str, size: int) -> Path:
        is_folder = temporary.is_dir()
        if not is_folder:
            temporary.chmod(0o444)
        path = self._folder(address) / CONTENT
        while not _moved(temporary, path):
            # A directory cannot replace another: what is there is right, or in the way.
            found = self.find(address, size, is_folder=is_folder)
            if found is not None:
                return found
            self.evict(address)
        if is_folder:
            path.chmod(0o555)
        self._account(size, path)
        return path

    def _account(self, size: int, keep: Path) -> None:
        with self._lock:
            self._held = _usage(self._writable()) if self._held is None else self._held + size
            if self._held > self._cap:
                self._held = _shrink(self._writable(), int(self._cap * _LOW_WATER), keep)


def safe_name(name: str) -> str:
    """Return `name` as one path segment that neither hides nor leads anywhere."""
    flat = _UNSAFE.sub("_", name).lstrip(".")
    return flat if flat and flat != CONTENT else f"_{flat}"


def _check_digest(expected: str | None, found: str, size: int) -> None:
    if expected is not None and found != expected:
        raise DigestMismatchError(
            f"the {size} bytes read do not match their digest, and were not decoded; expected {expected}, found {found}"
        )


def _moved(temporary: Path, path: Path) -> bool:
    """Move a complete copy to its place; False if something there has to be judged or removed first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        temporary.replace(path)
    except FileNotFoundError:  # an eviction removed the empty directory in between
        return _moved(temporary, path)
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return False
        raise
    return True


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)  # noqa: PTH118 -- ten thousand files


def _copy(content: Path, path: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=_NEW, dir=path.parent)
    os.close(handle)
    try:
        shutil.copyfile(content, name)
        os.chmod(name, 0o444)  # noqa: PTH101 -- beside shutil, which takes names
        os.replace(name, path)  # noqa: PTH105
    finally:
        Path(name).unlink(missing_ok=True)


def _copies(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield (last use, bytes, directory) of every copy."""
    for content in root.glob(f"*/??/*/{CONTENT}"):
        with contextlib.suppress(OSError):
            yield content.stat().st_mtime, size_of(content), content.parent


def _usage(root: Path) -> int:
    _sweep(root)
    return sum(size for _, size, _ in _copies(root))


def _sweep(root: Path) -> None:
    """Remove what processes that were killed left half-written."""
    limit = time.time() - ABANDONED
    for path in root.glob(f"{_NEW}*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < limit:
                _delete(path)


def _shrink(root: Path, target: int, keep: Path) -> int:
    """Remove the copies longest unused until `target` bytes are left, and return what is left."""
    copies = sorted(_copies(root))
    held = sum(size for _, size, _ in copies)
    limit = time.time() - YOUNG
    for used, size, folder in copies:
        if held <= target or used > limit:
            break
        if folder != keep.parent:
            _remove(folder, root)
            held -= size
    return held


def _remove(folder: Path, root: Path) -> None:
    """Remove a copy; it is gone at once and as a whole. Open files and maps stay valid."""
    with contextlib.suppress(OSError):
        gone = Path(tempfile.mkdtemp(prefix=_NEW, dir=root))
        try:
            folder.replace(gone / folder.name)
        finally:
            _delete(gone)


def _delete(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)  # noqa: PTH101 -- beside os.walk, which gives names
    shutil.rmtree(path, ignore_errors=True)
