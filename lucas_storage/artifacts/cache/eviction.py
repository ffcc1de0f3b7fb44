"""Eviction: the copies longest unused are removed when the cache exceeds its cap, but none that is in use."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import leases, removal, stamps
from .copies import CONTENT, size_of

YOUNG: Final = 600.0
"""Seconds after its last use during which a copy is not evicted where processes cannot see each other's leases."""
_LOW_WATER: Final = 0.9
"""Share of the cap that eviction leaves filled, so that not every insertion evicts."""
_COUNTED_ANEW: Final = 0.1
"""Share of the cap after whose insertion the directory is looked through, since other processes insert as well."""
_DIGEST: Final = re.compile("[0-9a-f]{64}")


class Eviction:
    """Keeps one cache below its cap. Safe to share between threads; other processes insert and evict as well.

    Args:
        cap: Bytes beyond which the copies longest unused are removed.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._held: int | None = None
        self._since = 0
        # Guards both counters, and keeps threads from evicting at the same time, which would remove twice too much.
        self._lock = threading.Lock()

    def inserted(self, root: Path, size: int, folder: Path) -> None:
        """Count a copy of `size` bytes, just made in `folder`, and evict others if the cache exceeds its cap."""
        with self._lock:
            self._since += size
            # An estimate between two looks at the directory, which cost a stat for every copy.
            if self._held is None or self._since > self._cap * _COUNTED_ANEW:
                self._held, self._since = _usage(root), 0
            else:
                self._held += size
            if self._held > self._cap:
                self._held = _shrink(root, int(self._cap * _LOW_WATER), folder)

    def make_room(self, root: Path, size: int) -> bool:
        """Remove unused copies until `size` more bytes fit onto the disk; return whether any was removed."""
        with self._lock:
            before = _usage(root)
            missing = max(0, size - shutil.disk_usage(root).free)
            self._held = _shrink(root, max(0, before - missing), None)
            return self._held < before


def _shrink(root: Path, target: int, keep: Path | None) -> int:
    """Remove the copies longest unused until `target` bytes are left, and return the number of bytes left."""
    held_by = leases.leases_of(root)
    found = sorted(_copies(root))
    held = sum(size for _, size, _ in found)
    for used, size, folder in found:
        if held <= target:
            break
        with held_by.unused(f"{folder.parent.parent.name}:{folder.name}") as free:
            spared = not held_by.are_shared and used > time.time() - YOUNG
            # Only renamed under the lease, which keeps readers waiting; deleted when it is released.
            gone = None if spared or not free or folder == keep else removal.set_aside(folder, root)
        if gone is not None:
            removal.delete(gone)
            held -= size
    return held


def _usage(root: Path) -> int:
    removal.sweep(root)
    return sum(size for _, size, _ in _copies(root))


def _copies(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield (last use, bytes, directory) of every copy."""
    for folder in _folders(root):
        # Another process may have evicted it since it was listed.
        with contextlib.suppress(OSError):
            content = folder / CONTENT
            size = stamps.size_in(folder)
            if size is None:  # of an earlier version, or damaged
                yield content.lstat().st_mtime, size_of(content), folder
            else:
                yield stamps.used_at(folder), size, folder


def _folders(root: Path) -> Iterator[Path]:
    for algorithm in ("sha256", "manifest"):
        for above in removal.listed(root / algorithm):
            # Files of other names are not the cache's, and are never removed.
            yield from (folder for folder in removal.listed(above) if _DIGEST.fullmatch(folder.name))
