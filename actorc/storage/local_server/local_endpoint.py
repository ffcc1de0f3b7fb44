"""Finds the server of a data directory and its keys, for programs of the same user on the same machine.

A server writes ``endpoint.json`` into its data directory. The file is used only if

* directory and file are this user's, nobody else may write to the one or read the other, and neither is a link;
* the server runs: it holds ``.server.lock`` (``flock``), which the kernel releases when the process ends in any way;
* its port is this user's: this process can bind it, too, with sharing (``SO_REUSEPORT``). The kernel allows that only
  if all sockets on the port belong to the same user. The socket stays open, so no other user gets the port when the
  server dies while this process runs.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actorc.addresses import parse
from actorc.storage.errors import InvalidParameterError
from actorc.storage.files import file_locks
from actorc.storage.files.private_files import open_directory, read_secret

from .held_ports import hold, hold_loopback, is_served
from .nearest_directory import candidates, find_directory, warn_skipped
from .shared_files import ENDPOINT_FILE, SERVER_LOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEndpoint:
    """Address and keys of a server, for programs of its user. Its secrets are neither shown nor pickled."""

    directory: Path
    """Its data directory."""
    endpoint: str
    """``host:port``, numeric."""
    use_ssl: bool = False
    access_key: str | None = field(default=None, repr=False)
    """None: the server has no keys, or publishes none."""
    secret_key: str | None = field(default=None, repr=False)
    signing_key: str | None = field(default=None, repr=False)
    """Signs values that only a pickle can store."""
    is_of_earlier_version: bool = False
    """Whether the server is of a version that admits every user of the machine, and whose port cannot be checked."""

    @property
    def origin(self) -> str:
        """Path of the file that it was read from, for messages."""
        return str(self.directory / ENDPOINT_FILE)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("the keys of a server are not pickled; they are found again where they are needed")


def find(*, is_needed: bool = True) -> LocalEndpoint | None:
    """Return the server of the nearest data directory, None if there is no directory or no server runs for it.

    Args:
        is_needed: Whether problems are errors; if not, they become a warning, for a caller that knows an endpoint.

    Raises:
        InvalidParameterError: It is in the working directory and not this user's alone, or is not trustworthy.
    """
    try:
        directory = find_directory()
        return None if directory is None else read(directory)
    except InvalidParameterError as error:
        if is_needed:
            raise
        warn_skipped(error.message)
        return None


def stamp() -> tuple[object, ...]:
    """Return values that change when `find` may have another result, except when a server dies.

    It takes a few system calls, as it is called at every call of every function.
    """
    try:
        here = os.getcwd()  # noqa: PTH109  # without the price of a Path
    except FileNotFoundError:
        return ()
    return (here, *filter(None, map(_stamp, candidates(here))))


def _stamp(directory: str) -> tuple[object, ...] | None:
    try:
        found = os.lstat(directory)
    except OSError:
        return None
    try:
        file = os.lstat(f"{directory}/{ENDPOINT_FILE}")
    except OSError:
        file = found
    # mode and owner change with the time of the last change of the inode
    return directory, found.st_ino, found.st_ctime_ns, file.st_ino, file.st_ctime_ns


def read(directory: Path) -> LocalEndpoint | None:
    """Return the server of a data directory; None if none runs, or it is not ready yet.

    From then on no other user gets its port, for as long as this process runs.

    Raises:
        InvalidParameterError: Directory or file are not this user's alone, or the port is another user's.
    """
    directory = directory.absolute()
    descriptor = open_directory(directory)
    try:
        fields = _parsed(read_secret(directory / ENDPOINT_FILE, descriptor))
        if fields is None or not _is_held(descriptor):
            return None
    except FileNotFoundError:
        return None
    finally:
        os.close(descriptor)
    # a server of an earlier version does not share its port, and says nothing of it
    if not hold(directory, fields["endpoint"]) and fields.get("shares_port"):
        raise InvalidParameterError(
            f"the port of {fields['endpoint']}, which {directory / ENDPOINT_FILE} names, is in the hands of another "
            "user; start the server of that directory again"
        )
    secrets = {name: fields.get(name) for name in ("access_key", "secret_key", "signing_key")}
    return LocalEndpoint(
        directory=directory,
        endpoint=fields["endpoint"],
        use_ssl=bool(fields.get("use_ssl", False)),
        is_of_earlier_version="shares_port" not in fields,
        **secrets,
    )


def is_taken(port: int) -> bool:
    """Return whether ``localhost:PORT`` leads to a program."""
    return is_served(port)


def is_free(port: int) -> bool:
    """Return whether this user's server can have a port of loopback; then no other user can while this process runs."""
    return not is_served(port) and hold_loopback(port)


def is_localhost(endpoint: str, port: int) -> bool:
    """Return whether ``localhost:PORT`` leads to an endpoint of this user, for as long as this process runs."""
    return endpoint == f"127.0.0.1:{port}" and hold_loopback(port)


def _is_held(directory: int) -> bool:
    """Return whether a server holds the lock in a directory."""
    lock = os.open(SERVER_LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        # shared, so that two programs that look at once do not take each other for the server
        return not file_locks.try_lock(lock, file_locks.SHARED)
    finally:
        os.close(lock)


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Return the values of ``endpoint.json``; None if it is damaged."""
    try:
        fields = json.loads(content)
        parse(fields["endpoint"])
        texts = [fields.get(name) for name in ("access_key", "secret_key", "signing_key")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return fields if all(text is None or isinstance(text, str) for text in texts) else None
