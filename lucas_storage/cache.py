"""Verified local copies of artifacts, shared by all processes of a user on one host.

::

    <root>/sha256/3f/3f9c…/content       the bytes, read-only
    <root>/sha256/3f/3f9c…/weather.csv   the same file under the name it had, for those who ask for a path

A file is there complete and verified or not at all, whoever writes at the same time. The digest is checked as a copy is
made; from then on the file system is trusted, and only the size is looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
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
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]")


class Cache:
    """A directory of verified copies, named by digest.

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

    def find(self, digest: str, size: int) -> Path | None:
        """Return the copy of `digest`, marked as used now; one of another size than `size` counts as absent."""
        path = self._folder(digest) / CONTENT
        try:
            if path.stat().st_size != size:
                return None
            os.utime(path)
        except OSError:
            return None
        return path

    def insert(self, digest: str | None, pieces: Iterable[bytes | memoryview]) -> Path:
        """Write a copy and return it.

        Args:
            digest: What the pieces must amount to; None accepts any.
            pieces: The bytes in order.

        Raises:
            DigestMismatchError: They amount to something else; nothing was kept.
        """
        running = hashlib.sha256()
        temporary = self._new_file()
        try:
            with temporary.open("wb") as file:
                for piece in pieces:
                    running.update(piece)
                    file.write(piece)
                size = file.tell()
            found = "sha256:" + running.hexdigest()
            _check_digest(digest, found, size)
            return self._publish(temporary, found, size)
        finally:
            temporary.unlink(missing_ok=True)

    def named(self, content: Path, name: str) -> Path:
        """Return the copy `content` under a name of the user's, in the directory of its digest.

        The name is reduced to one harmless path segment.
        """
        path = content.with_name(safe_name(name))
        if path.exists():
            return path
        try:
            os.link(content, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            _copy(content, path)
        return path

    def evict(self, digest: str) -> None:
        """Remove the copy of `digest`, if there is one."""
        _remove(self._folder(digest))

    @contextlib.contextmanager
    def only_one(self, digest: str) -> Iterator[None]:
        """Let one thread of this process at a time fetch `digest`; the others find the copy it made."""
        with self._lock:
            lock = self._flights.setdefault(digest, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._flights.pop(digest, None)

    def _folder(self, digest: str) -> Path:
        algorithm, _, value = digest.partition(":")
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

    def _new_file(self) -> Path:
        handle, name = tempfile.mkstemp(prefix=_NEW, dir=self._writable())
        os.close(handle)
        return Path(name)

    def _publish(self, temporary: Path, digest: str, size: int) -> Path:
        temporary.chmod(0o444)
        folder = self._folder(digest)
        path = folder / CONTENT
        while True:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                temporary.replace(path)
                break
            except FileNotFoundError:  # an eviction removed the empty directory in between
                continue
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
            status = content.stat()
            yield status.st_mtime, status.st_size, content.parent


def _usage(root: Path) -> int:
    _sweep(root)
    return sum(size for _, size, _ in _copies(root))


def _sweep(root: Path) -> None:
    """Remove what processes that were killed left half-written."""
    limit = time.time() - ABANDONED
    for path in root.glob(f"{_NEW}*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < limit:
                path.unlink()


def _shrink(root: Path, target: int, keep: Path) -> int:
    """Remove the copies longest unused until `target` bytes are left, and return what is left."""
    copies = sorted(_copies(root))
    held = sum(size for _, size, _ in copies)
    limit = time.time() - YOUNG
    for used, size, folder in copies:
        if held <= target or used > limit:
            break
        if folder != keep.parent:
            _remove(folder)
            held -= size
    return held


def _remove(folder: Path) -> None:
    # Open files and maps stay valid; a directory that is filled again meanwhile stays.
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()
