"""Files that downloads make: never partial, and under their name only once they are complete."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from actorc.storage.files.unsized_files import refuse_irregular
from actorc.storage.rules import MiB


def check_target(path: Path, overwrite: bool) -> None:
    """Check that a download may be written to `path`.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        InvalidParameterError: It is not a regular file.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    refuse_irregular(status, path)
    if not overwrite:
        raise _exists_error(path)


def _exists_error(path: Path) -> FileExistsError:
    return FileExistsError(f"{path} exists already; pass overwrite=True to replace it")


@contextmanager
def whole_target(path: Path, overwrite: bool) -> Iterator[IO[bytes]]:
    """Yield a file that appears at `path`, complete, when the block ends, and not at all if it raises.

    Missing parent directories are made. A symbolic link is followed; a replaced file keeps its mode.

    Raises:
        FileExistsError: Another process made the file in between and `overwrite` is false.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # beside the target, so that the rename stays within the file system
    temporary = target.with_name(f".download-{os.urandom(8).hex()}.part")
    try:
        with temporary.open("xb") as file:
            yield file
        publish(temporary, target, overwrite)
    finally:
        # also after success, when the name is gone or is a second link
        temporary.unlink(missing_ok=True)


_LARGE: Final = 16 * MiB
"""Bytes of a replaced file from which it is given back on another thread."""
_NAME_ONLY: Final = getattr(os, "O_PATH", os.O_RDONLY)  # needs no permission to read the file


def publish(temporary: Path, target: Path, overwrite: bool) -> None:
    """Rename a complete file to `target`, keeping the mode of an existing target.

    Raises:
        FileExistsError: The target exists and `overwrite` is false; it is kept.
    """
    if overwrite:
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        with _released_elsewhere(target):
            temporary.replace(target)
        return
    # a link fails if the target exists; a rename would replace a file that was made since the check
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _exists_error(target) from None
    except OSError:
        # a file system without hard links; only the window between check and rename is unguarded there
        check_target(target, overwrite)
        temporary.replace(target)


@contextmanager
def _released_elsewhere(target: Path) -> Iterator[None]:
    """Let another thread give back the room of `target`, if it is large and the block replaces it.

    The last one who lets go of a file gives back its blocks and its pages, which takes 50 ms and more for 256 MiB.
    """
    descriptor = -1
    with suppress(OSError):  # there is no such file, or this process can open no more
        if target.stat().st_size >= _LARGE:
            descriptor = os.open(target, _NAME_ONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        if descriptor >= 0:
            release = threading.Thread(target=os.close, args=(descriptor,), name="storage-replaced", daemon=True)
            try:
                release.start()
            except RuntimeError:  # this process can have no more threads
                os.close(descriptor)
