"""The handle of a store, and the page of a reference, for modules below them.

A reference that is read, and a value that is stored or loaded, need this process's handle of a store. Its class,
`lucas_storage.storage.Storage`, stands in a layer above them. This module is the only place where a lower layer reaches
a higher one: by name, and on first use, so that a process that only passes references on never loads gRPC. So it is
with the HTML of a reference, which needs the store, and formats.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

_HOME: Final = "lucas_storage.storage"
"""The module that makes handles; for ever, since pickles name it as well."""
_PAGE: Final = "lucas_storage.notebook.artifact_html"
"""The module that shows a reference to a notebook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStat:
    """Facts about an artifact that are known without reading it."""

    size: int
    """Bytes stored."""
    format: str
    digest: str | None
    stored_at: datetime | None
    """Aware, UTC; None if the reference carries the bytes itself."""


ArtifactStat.__module__ = _HOME  # where processes of any version find it


class Handle(Protocol):
    """The methods of a store that references use; `lucas_storage.storage.Storage` documents them."""

    def get(self, ref: object, as_: Any = None) -> Any:
        """Return the value of a reference."""

    def open(self, ref: object) -> BinaryIO:
        """Return the stored bytes as a seekable binary file."""

    def path(self, ref: object, only: str | None = None) -> Path:
        """Return a local file or directory."""

    def stat(self, ref: object) -> ArtifactStat:
        """Return the facts that are known without reading."""


def handle_for(store: str | None = None, present: object = None) -> Handle:
    """Return this process's handle for a store, by `lucas_storage.storage.storage_for`.

    Args:
        store: Logical name of the store; None takes the one of the settings.
        present: The settings in force, for a caller that has looked them up.

    Raises:
        UnknownStoreError: This process has no endpoint for it.
    """
    # By name and late: an import at the top would be a circle, and load gRPC wherever references are unpickled.
    # In C where it is loaded already, as every step asks.
    __import__(_HOME)
    handle: Handle = sys.modules[_HOME].storage_for(store, present)
    return handle


def html_of(ref: object) -> str:
    """Return an `ArtifactRef` and the beginning of its artifact as HTML; raises nothing."""
    shown: str = import_module(_PAGE).html(ref)
    return shown
