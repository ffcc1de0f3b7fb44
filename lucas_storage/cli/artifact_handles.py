"""Artifact handles for commands, on the connection of their session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lucas_storage import settings
from lucas_storage.declared_settings import DEFAULT_STORE
from lucas_storage.refs import ArtifactRef
from lucas_storage.storage import Storage

from .session import Session


@contextmanager
def artifacts(session: Session, store: str = DEFAULT_STORE) -> Iterator[Storage]:
    """Yield the handle for a store, with the address and the keys of the session, which hold throughout the body."""
    with settings.storage_context(**session.overrides(store)), Storage(store) as storage:
        yield storage


def short(ref: ArtifactRef) -> str:
    """Return a reference in a few characters, as its repr has it."""
    return repr(ref).removeprefix("ArtifactRef(").removesuffix(")")
