"""The handle of a store, for those who stand below its class.

A reference that is read, and a value that is stored or loaded, need this process's handle of a store. Its class,
`lucas_storage.storage.Storage`, does more than keep bytes, so it stands above them. This module is the only place where
something below asks for something above: by name, and when it is needed, so a process that passes references on, or has
unpickled one, loads no gRPC before it reads one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

_HOME: Final = "lucas_storage.storage"
"""Where handles are made; for ever, since pickles name it as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStat:
    """What is known of an artifact without reading it."""

    size: int
    """Bytes stored."""
    format: str
    digest: str | None
    stored_at: datetime | None
    """Aware, UTC; None if the reference carries the bytes itself."""


ArtifactStat.__module__ = _HOME  # where processes of any version find it


class Handle(Protocol):
    """What a reference asks of a store; `lucas_storage.storage.Storage` says what each returns and raises."""

    def get(self, ref: object, as_: Any = None) -> Any:
        """Return the value of a reference."""

    def open(self, ref: object) -> BinaryIO:
        """Return the stored bytes as a seekable binary file."""

    def path(self, ref: object, only: str | None = None) -> Path:
        """Return a local file or directory."""

    def stat(self, ref: object) -> ArtifactStat:
        """Return what is known without reading."""


def handle_for(store: str | None = None) -> Handle:
    """Return this process's handle for a store; `lucas_storage.storage.storage_for`, wherever it is asked for.

    Args:
        store: Logical name of the store; None takes the one of the settings.

    Raises:
        UnknownStoreError: This process has no endpoint for it.
    """
    handle: Handle = import_module(_HOME).storage_for(store)
    return handle
