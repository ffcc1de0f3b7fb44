"""Where a server lives, and what it tells the programs of its own user there."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from actorc.storage.local_directory import DIRECTORY, ENDPOINT_FILE, make_private, published, serving, signing_key
from actorc.storage.ownership import is_readable_by_others, is_writable_by_others

log = logging.getLogger(__name__)

_PATIENCE: Final = 2.0
"""Seconds; longer than anybody who only looks holds the lock."""


@contextmanager
def occupied(directory: Path) -> Iterator[None]:
    """Be the one server of a data directory while the block runs; it is made if it is not there.

    Raises:
        InvalidParameterError: It is the directory that programs find by themselves, and not this user's alone.
        StorageError: Another server has it.
        OSError: It cannot be made.
    """
    if directory.name == DIRECTORY or not directory.exists():
        make_private(directory)
    _warn_of_others(directory)
    with serving(directory, _PATIENCE):
        yield


@contextmanager
def announced(directory: Path, endpoint: str, **more: Any) -> Iterator[Callable[..., None]]:
    """Tell the programs of this user where the server of a data directory is while the block runs, and with which keys.

    Args:
        directory: What is `occupied`.
        endpoint: Where the server listens.
        more: What else clients must know, see `LocalEndpoint`.

    Yields:
        A function that takes what else clients must know from then on, by the same names.
    """
    told = {
        "endpoint": _reachable(endpoint),
        "pid": os.getpid(),
        "data": str(directory.absolute()),
        "signing_key": signing_key(directory).read_text(encoding="utf-8").strip(),
        **more,
    }
    with published(directory / ENDPOINT_FILE, told) as tell:
        yield lambda **news: tell(told | news)


def _reachable(endpoint: str) -> str:
    """Return where programs of this machine reach a server that may listen on every address."""
    host, _, port = endpoint.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]"))
    if not address.is_unspecified:
        return endpoint
    return f"[::1]:{port}" if address.version == 6 else f"127.0.0.1:{port}"


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
