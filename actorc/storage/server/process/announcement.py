"""The server's lock on its data directory, and ``endpoint.json``, from which its user's programs get its address."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from actorc.addresses import ip, parse
from actorc.storage.files.private_files import is_readable_by_others, is_writable_by_others
from actorc.storage.local_server.shared_files import (
    DIRECTORY,
    ENDPOINT_FILE,
    FORMER_ENDPOINT_FILE,
    check_is_for_data,
    make_private,
    published,
    serving,
    signing_key,
)

log = logging.getLogger(__name__)

_WAIT_SECONDS: Final = 2.0
"""Seconds to wait for the lock; longer than a process that only reads the state holds it."""


@contextmanager
def occupied(directory: Path) -> Iterator[None]:
    """Hold the server's lock on a data directory within the block; make the directory if it is missing.

    Raises:
        InvalidParameterError: It holds other things than data, or has the name that programs search for and is not this
            user's alone; it is left as it is.
        StorageError: Another server holds the lock.
        OSError: It cannot be made.
    """
    # waited for a moment: a program that only reads the state holds the lock briefly
    if directory.name == DIRECTORY or not directory.exists():
        make_private(directory)
    else:
        check_is_for_data(directory)
    _warn_of_others(directory)
    with serving(directory, _WAIT_SECONDS):
        yield


@contextmanager
def announced(directory: Path, endpoint: str, **more: Any) -> Iterator[Callable[..., None]]:
    """Publish address and keys of a data directory's server to programs of this user within the block.

    Args:
        directory: A directory that is `occupied`.
        endpoint: ``HOST:PORT`` that the server listens on.
        more: Further fields of `LocalEndpoint`.

    Yields:
        A function that replaces further fields, given by name.
    """
    fields = {
        "endpoint": _reachable(endpoint),
        "pid": os.getpid(),
        "data": str(directory.absolute()),
        "signing_key": signing_key(directory).read_text(encoding="utf-8").strip(),
        **more,
    }
    with published(directory / ENDPOINT_FILE, fields) as replace_fields:
        # only now: if this process is killed before, the next one still goes on with the key
        (directory / FORMER_ENDPOINT_FILE).unlink(missing_ok=True)
        yield lambda **news: replace_fields(fields | news)


def _reachable(endpoint: str) -> str:
    """Return the address by which programs of this machine reach a server that may listen on every address."""
    address = parse(endpoint)
    number = ip(address.host)
    if number is None or not number.is_unspecified:
        return endpoint
    return str(address._replace(host="::1" if number.version == 6 else "127.0.0.1"))


def _warn_of_others(directory: Path) -> None:
    status = directory.stat()
    if status.st_uid != os.geteuid() or is_writable_by_others(status):
        log.warning(
            "other users may write to %s, so they can change what is stored, and no program takes the address of the "
            "server from there; give it to the user of the server and run 'chmod 700' on it",
            directory,
        )
    elif is_readable_by_others(status):
        log.warning("other users may look into %s; run 'chmod 700' on it to keep what is stored from them", directory)
