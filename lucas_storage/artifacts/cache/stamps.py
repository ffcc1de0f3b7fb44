"""Stamps: the signatures of a copy when it was verified, in a file beside it, so that a hand-out costs a few stats.

::

    {"address":…,"boot":…,"settled":…,"size":…,"verified":…}       one line; eviction reads no more than this
    {"content":[kind,inode,size,mtime,ctime],…}                    every file and directory, times in nanoseconds
    {…}                                                            files of names that are no hard links, likewise

A copy is unchanged since its verification if all of these are unchanged. They are in a file of their own because links
and times that the cache itself gives to a copy change its ctime. The file's own mtime is when the copy was used last.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from actorc.storage.files.private_files import is_ours, replace_private

NAME: Final = ".stamp"
Signature: TypeAlias = tuple[int, int, int, int, int]
"""Kind, inode, bytes, mtime and ctime in nanoseconds; a directory has 0 bytes."""
Signatures: TypeAlias = Mapping[str, Signature]
"""By path within the directory of a copy."""

_SECOND: Final = 1_000_000_000
_COARSE: Final = 2 * _SECOND
"""Nanoseconds by which a file system that keeps whole seconds may round times; FAT keeps every second one."""
_TICK: Final = 0.001
_PATIENCE: Final = 100_000_000
"""Nanoseconds to wait for a tick of that clock, which comes every 10 ms or oftener where clocks agree."""
_MARGIN: Final = 20_000_000
"""Nanoseconds that file times may lie behind the clock where the kernel does not tell its coarse one."""
_HEADER_MAX: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """One look at a copy, when its bytes were right."""

    address: str
    """Address of the copy; one whose directory was moved to another address is no copy of that."""
    size: int
    """Bytes of all files."""
    verified: float
    """When the bytes were read last, in seconds since 1970."""
    boot: str
    """Boot id of the machine then: after a power cut a file may lack bytes although its times are unchanged."""
    settled: bool
    """Whether any later change would have given a file another ctime than the stamp has."""
    files: Signatures
    """The content, and all that is in it."""
    names: Signatures
    """Files of names that are files of their own, where the file system has no hard links."""

    @classmethod
    def of(cls, address: str, files: Signatures, size: int) -> Stamp:
        """Return the stamp for files that were just verified and looked at."""
        return cls(
            address=address,
            size=size,
            verified=time.time(),
            boot=_boot(),
            settled=_is_over(_latest(files.values())),
            files=files,
            names={},
        )

    def is_current(self, address: str, scrub: float) -> bool:
        """Return whether files with these signatures need not be read again.

        Args:
            address: Address that the copy must have.
            scrub: Seconds after which bytes are read again although nothing touched them.
        """
        age = time.time() - self.verified
        return self.settled and self.address == address and self.boot == _boot() and 0 <= age < scrub

    def seen_again(self, files: Signatures, names: Signatures) -> Stamp:
        """Return the stamp for files that were looked at anew, but not read."""
        # An unsettled one stays so: the change that it may have missed would be believed from now on.
        settled = self.settled and _is_over(_latest([*files.values(), *names.values()]))
        return replace(self, files=files, names=names, settled=settled)


def signature(status: os.stat_result) -> Signature:
    """Return kind, inode, size, mtime and ctime of a file, of which every change of it changes at least one."""
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return stat.S_IFMT(status.st_mode), status.st_ino, size, status.st_mtime_ns, status.st_ctime_ns


def settle(files: Iterable[Signature]) -> None:
    """Wait until any later change of these files gives another time: some milliseconds at most, after a write."""
    latest = _latest(files)
    while not _is_over(latest) and abs(_now() - latest) < _PATIENCE:
        time.sleep(_TICK)  # nothing in the kernel announces a tick of the clock for file times


def write(folder: Path, stamp: Stamp) -> None:
    """Replace the stamp of the copy in a directory, all or nothing."""
    # No fsync: after a power cut the boot id differs, and the copy is read again whatever the stamp says.
    header = {
        "address": stamp.address,
        "boot": stamp.boot,
        "settled": stamp.settled,
        "size": stamp.size,
        "verified": stamp.verified,
    }
    text = "\n".join(json.dumps(line, separators=(",", ":")) for line in (header, stamp.files, stamp.names))
    replace_private(folder / NAME, text)


def read(folder: Path) -> Stamp | None:
    """Return the stamp of the copy in a directory; None if there is none that this user wrote whole."""
    text = _text(folder, -1)
    try:
        header, files, names = map(json.loads, text.split(b"\n"))
        return Stamp(**_header(header), files=_signatures(files), names=_signatures(names))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def size_in(folder: Path) -> int | None:
    """Return the bytes of the copy in a directory, by the head of its stamp; None without one."""
    try:
        return int(_header(json.loads(_text(folder, _HEADER_MAX).partition(b"\n")[0]))["size"])
    except (ValueError, TypeError, LookupError):
        return None


def used(folder: Path) -> None:
    """Set the last use of the copy in a directory to now."""
    os.utime(folder / NAME)


def used_at(folder: Path) -> float:
    """Return when the copy in a directory was used last, in seconds since 1970.

    Raises:
        OSError: It has no stamp.
    """
    return os.lstat(folder / NAME).st_mtime


def _text(folder: Path, length: int) -> bytes:
    try:
        handle = os.open(folder / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError:
        if os.path.islink(folder / NAME):  # noqa: PTH114 -- beside os.open
            return b""
        raise
    status = os.fstat(handle)
    # A stamp of another user would vouch for bytes that nobody verified.
    if not (stat.S_ISREG(status.st_mode) and is_ours(status)):
        os.close(handle)
        return b""
    with os.fdopen(handle, "rb") as file:
        return file.read(length)


def _header(found: Any) -> dict[str, Any]:
    kinds = {"address": str, "boot": str, "settled": bool, "size": int, "verified": float}
    if any(type(found[name]) is not kind for name, kind in kinds.items()):
        raise TypeError("a field of a stamp is of another kind")
    return {name: found[name] for name in kinds}


def _signatures(found: dict[str, list[int]]) -> dict[str, Signature]:
    return {name: (kind, inode, size, mtime, ctime) for name, (kind, inode, size, mtime, ctime) in found.items()}


def _latest(files: Iterable[Signature]) -> int:
    # The ctime alone: every change sets it, and unlike the mtime no program can set it back.
    return max((file[-1] for file in files), default=0)


def _is_over(latest: int) -> bool:
    """Return whether the clock for file times has passed a time, so that no later change can get it."""
    return _now() > (latest + _COARSE if latest % _SECOND == 0 else latest)


def _now() -> int:
    if hasattr(time, "CLOCK_REALTIME_COARSE"):  # Linux: the very clock of its file times
        return time.clock_gettime_ns(time.CLOCK_REALTIME_COARSE)
    return time.time_ns() - _MARGIN


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
