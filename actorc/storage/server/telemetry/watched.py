"""What the metrics ask of a server and of its store; without their library, which may be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actorc.storage.server.auth.keyring import Keyring
from actorc.storage.server.config import ServerOptions
from actorc.storage.server.engines.base import Engine

_NAMED_BUCKETS: Final = 20
"""Buckets that are named if it is not said, while there are no access keys."""
_RESTARTS: Final = "restarts"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedServer:
    """Where the numbers of one process of a server come from. Any thread may call its functions."""

    engine: Engine
    options: ServerOptions
    keyring: Keyring
    is_healthy: Callable[[], bool]
    """Returns whether the engine accepts changes."""
    calls: Callable[[], int]
    """Returns how many calls run or wait for a thread."""
    shared: Path | None
    """Directory of the numbers of all workers; None: this process is the whole server."""

    @property
    def named_buckets(self) -> int:
        """How many buckets may be named: all who reach the page may read it, but buckets are shown by permission."""
        # asked at each page, since keys may be added while the server runs
        default = _NAMED_BUCKETS if self.keyring.is_open else 0
        return default if self.options.metrics_buckets is None else self.options.metrics_buckets


def record_restart(shared: Path) -> None:
    """Count the restart of a worker, in the directory of the numbers of all workers."""
    # a byte for each: an append is atomic, and its number is the size of the file
    with (shared / _RESTARTS).open("ab", buffering=0) as file:
        file.write(b".")


def restarts(shared: Path | None) -> int:
    """Return how many restarts were recorded."""
    try:
        return 0 if shared is None else (shared / _RESTARTS).stat().st_size
    except FileNotFoundError:
        return 0
