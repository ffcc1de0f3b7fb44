"""Files that servers and programs of one user share in a data directory, beside the data: locks, address, signing key.

Locks end with their holder, so nothing here trusts a process id or a file that a killed process left behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from actorc.storage.errors import InvalidParameterError, StorageError
from actorc.storage.files import file_locks
from actorc.storage.files.private_files import (
    check_own_directory,
    is_readable_by_others,
    make_directory,
    open_directory,
    owner,
    read_secret,
    replace_private,
)

DIRECTORY: Final = ".lucas-storage"
"""Name of the data directory that is searched in the working directory and those above it."""
ENDPOINT_FILE: Final = "endpoint.json"
FORMER_ENDPOINT_FILE: Final = ".endpoint.former.json"
"""What a server that was killed left of its `ENDPOINT_FILE`, until the next one publishes its own."""
SERVER_LOCK: Final = ".server.lock"
SIGNING_KEY: Final = ".signing.key"
_BESIDE_DATA: Final = ("LOCK", "FORMAT.*", "keys.json", "endpoint.json*", "*.log", "lost+found", ".*")
"""Patterns of the names that may be in a data directory before the first start of a server."""


def has_data(path: Path) -> bool:
    """Return whether a directory has what a server keeps its objects in, its label aside."""
    return (path / "meta" / "meta.db").exists() or ((path / "blobs").is_dir() and (path / "staging").is_dir())


def check_is_for_data(path: Path) -> None:
    """Check that an existing directory is a data directory, or may become one: nothing else is in it.

    Raises:
        InvalidParameterError: Something else is.
        OSError: It is no directory, or cannot be read.
    """
    names = sorted(entry.name for entry in path.iterdir())
    foreign = [name for name in names if not any(fnmatch(name, ours) for ours in _BESIDE_DATA)]
    # looked for afterwards: another server may be laying the directory out, and makes its label first
    if foreign and not (path / "FORMAT").exists() and not has_data(path):
        raise InvalidParameterError(
            f"{path} is no data directory and holds other things, such as {foreign[0]!r}; choose an empty one"
        )


def make_private(path: Path) -> None:
    """Make a data directory that only this user can read; make an existing one so again.

    Raises:
        InvalidParameterError: It belongs to another user, or contains files of one, or holds other things than data;
            it is left as it is.
        OSError: It cannot be made.
    """
    make_directory(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        # made earlier, perhaps with permissions that are too wide; first of all a directory that was named by mistake,
        # such as a home, must be left alone
        check_own_directory(path, path.stat())
        check_is_for_data(path)
        _tighten(path)
    else:
        (path / ".gitignore").write_text("*\n")


def _tighten(path: Path) -> None:
    if not is_readable_by_others(path.stat()):
        return
    # before the check, so that no other user can add a file meanwhile
    path.chmod(0o700)
    with os.scandir(path) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if found.st_uid != os.geteuid():
                raise InvalidParameterError(
                    f"{entry.path} belongs to {owner(found.st_uid)}, who could write to {path}; remove what is not "
                    "yours, or name another data directory (--data, local(data))"
                )


def signing_key(directory: Path) -> Path:
    """Return the path of a directory's signing key, which is made the first time."""
    path = directory / SIGNING_KEY
    # a server and the program that starts it may both be the first
    with file_locks.locked_directory(directory):
        if not path.exists():
            import secrets  # noqa: PLC0415  # of no use to those who find a key, and loads much

            replace_private(path, secrets.token_urlsafe(32) + "\n", durable=True)
    return path


@contextmanager
def published(path: Path, values: Mapping[str, Any]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Publish values as JSON in a file within the block, readable by this user only and replaced atomically.

    Yields:
        A function that replaces the values.
    """
    ours = (0, 0)

    def replace(news: Mapping[str, Any]) -> None:
        nonlocal ours
        replace_private(path, json.dumps(news))
        ours = _identity(path)

    replace(values)
    try:
        yield replace
    finally:
        with suppress(OSError):
            # a file of another server may have taken its place
            if _identity(path) == ours:
                path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_ino, status.st_mtime_ns


def set_endpoint_aside(directory: Path) -> None:
    """Rename the endpoint file that a killed server left, so that no program takes it for that of a server that runs.

    The caller holds a lock that keeps other servers from starting.
    """
    with suppress(FileNotFoundError):
        (directory / ENDPOINT_FILE).replace(directory / FORMER_ENDPOINT_FILE)


def former_endpoint(directory: Path) -> Mapping[str, Any]:
    """Return the fields of the endpoint file of a server that was killed; empty if there is none to be trusted.

    A server that ends in order removes its file, so it has no successor in this sense.
    """
    try:
        descriptor = open_directory(directory)
        try:
            fields = json.loads(read_secret(directory / FORMER_ENDPOINT_FILE, descriptor))
        finally:
            os.close(descriptor)
    except (InvalidParameterError, OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


@contextmanager
def serving(directory: Path, patience: float) -> Iterator[None]:
    """Hold the lock of a data directory's server within the block, and at the longest until this process ends.

    directory: An existing directory.
    patience: Seconds to wait for another server to end.

    Raises:
        StorageError: Another server holds the lock.
        OSError: The lock cannot be made.
    """
    try:
        # also waits for readers, which hold the lock for a moment to see whether it is free
        lock = file_locks.open_within(patience, directory / SERVER_LOCK)
    except TimeoutError:
        raise StorageError(
            f"{directory} has a server already{_description(directory)}; use that one, stop it, or choose another data "
            "directory"
        ) from None
    try:
        set_endpoint_aside(directory)
        yield
    finally:
        os.close(lock)


def _description(directory: Path) -> str:
    """Return process and address of a directory's server in words, or an empty string; for messages only."""
    try:
        descriptor = open_directory(directory)
        try:
            values = json.loads(read_secret(directory / ENDPOINT_FILE, descriptor))
        finally:
            os.close(descriptor)
        return f", process {int(values['pid'])} on {values['endpoint']}"
    except (InvalidParameterError, OSError, ValueError, KeyError, TypeError):
        return ""
