"""Stores one value as an artifact: chooses the format, inline or stored, and checks whether it may be pickled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

from actorc.storage.files.unsized_files import content_of_unsized
from actorc.storage.rules import MAX_BATCH_OBJECT
from lucas_storage import settings, signing
from lucas_storage.artifacts.body import EncodedBody, FileBody
from lucas_storage.artifacts.chunks import send_bytes
from lucas_storage.artifacts.directory_upload import send_directory
from lucas_storage.artifacts.manifest import PART
from lucas_storage.artifacts.part_transfer import send_value
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.errors import NoFormatError, UnsafeFormatError
from lucas_storage.formats import format_for, why_pickled
from lucas_storage.formats.base import Encoded, Format, type_name
from lucas_storage.formats.composite import TREE
from lucas_storage.references.fields import is_filename
from lucas_storage.refs import ArtifactRef, inline_ref

from .open_files import content_of, is_open_file
from .policy import Policy

TEXT: Final = "text@1"
"""The format of open text files."""


def artifact(value: Any, policy: Policy, requested: str | None = None, name: str | None = None) -> ArtifactRef:
    """Store a value, or put it into its reference if it is small and safe to read.

    Args:
        value: A leaf; containers are taken apart before, by `outgoing`.
        policy: Store and limits.
        requested: Format id or name; None lets the value decide.
        name: Name of the file if the value is later asked for as a path.

    Raises:
        NoFormatError: No format holds it, or not the one asked for.
        UnsafeFormatError: It can only be pickled, and that is denied or cannot be signed.
    """
    if isinstance(value, Path):
        ref = _path(value, policy, requested, name or _name_of(value))
        # Afterwards: nobody can have replaced the file between a check and its reading.
        store_for(policy.store).check_not_replaced(value)
        return ref
    if is_open_file(value):
        with content_of(value) as (pieces, is_text):
            return store_pieces(pieces, declared(requested or (TEXT if is_text else None)), policy, name)
    fmt = format_for(value, requested)
    if not fmt.safe:  # before encoding: a large value is not pickled first and refused afterwards
        check_pickle(value, policy)
    encoded = fmt.encode(value)
    # Safe formats only: a pickle is always stored under its digest, and its reference signed.
    if fmt.safe and policy.is_inline(encoded.size):
        return inline_ref(fmt.id, bytes(encoded), filename=name)
    return store_encoded(encoded, fmt, policy, name)


class SmallLeaves:
    """The small artifacts of one result, stored together when the first of their references is asked for."""

    def __init__(self) -> None:
        # Leaves are encoded by several threads.
        self._lock = threading.Lock()
        self._waiting: list[tuple[EncodedBody, Format]] = []
        self._refs: dict[EncodedBody, ArtifactRef] = {}

    def leaf(self, value: Any, policy: Policy, fmt: Format) -> ArtifactRef | Callable[[], ArtifactRef]:
        """Return the reference of a value, or a function that returns it once all values are encoded.

        Args:
            value: As `artifact` takes it, not a file.
            policy: Store and limits; the same for all values.
            fmt: A safe format that holds it.
        """
        encoded = fmt.encode(value)
        return inline_ref(fmt.id, bytes(encoded)) if policy.is_inline(encoded.size) else self.kept(encoded, policy, fmt)

    def kept(self, encoded: Encoded, policy: Policy, fmt: Format) -> ArtifactRef | Callable[[], ArtifactRef]:
        """Do as `leaf`, with a value that is encoded, and travels apart in any case; its format need not be safe."""
        if encoded.size > MAX_BATCH_OBJECT or _is_in_parts(encoded):
            return store_encoded(encoded, fmt, policy)
        body = EncodedBody(encoded)
        with self._lock:
            self._waiting.append((body, fmt))
        return partial(self._stored, body, policy)

    def _stored(self, body: EncodedBody, policy: Policy) -> ArtifactRef:
        with self._lock:
            if body not in self._refs:
                self._store(store_for(policy.store))
            return self._refs[body]

    def _store(self, storage: ArtifactStore) -> None:
        waiting = self._waiting
        # One alone is not asked for in vain if it is there: a batch is sent at once.
        refs = [storage.keep(*waiting[0])] if len(waiting) == 1 else storage.keep_all(waiting)
        self._refs.update(zip((body for body, _ in waiting), refs, strict=True))
        self._waiting = []


def store_encoded(encoded: Encoded, fmt: Format, policy: Policy, name: str | None = None) -> ArtifactRef:
    """Store an encoded value: as one object, or in parts if other values may have its large buffers, too."""
    storage = store_for(policy.store)
    if _is_in_parts(encoded):
        return storage.keep_parts(partial(send_value, encoded), fmt, name)
    return storage.keep(EncodedBody(encoded), fmt, name)


def _is_in_parts(encoded: Encoded) -> bool:
    return encoded.apart and any(len(part) >= PART for part in encoded.parts)


def kind_of_source(value: object) -> Literal["file", "stream"] | None:
    """Return how a value is read while it is stored: as a file, or by running an iterator; None for other values."""
    if isinstance(value, Path) or is_open_file(value):
        return "file"
    return "stream" if isinstance(value, Iterator) else None


def store_pieces(pieces: Iterator[bytes], fmt: Format, policy: Policy, name: str | None) -> ArtifactRef:
    """Store bytes whose number is unknown until they end."""
    # Held back up to one part: most sources are short, and a single object, or no object at all, costs fewer calls.
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) > PART:
            return store_for(policy.store).keep_parts(
                partial(send_bytes, chain((head,), pieces), items=False), fmt, name
            )
    if policy.is_inline(len(head)):
        return inline_ref(fmt.id, bytes(head), filename=name)
    return store_encoded(Encoded((bytes(head),)), fmt, policy, name)


def _path(path: Path, policy: Policy, requested: str | None, name: str | None) -> ArtifactRef:
    if path.is_dir():
        return _folder(path, policy, requested, name)
    fmt = declared(requested)
    content = content_of_unsized(path)  # files such as those of /proc, which state 0 bytes
    if content is not None:
        return store_pieces(iter((content,)), fmt, policy, name)
    size = path.stat().st_size
    if policy.is_inline(size):
        return inline_ref(fmt.id, path.read_bytes(), filename=name)
    storage = store_for(policy.store)
    # A file that a step was handed and passes on: it is in the store, so it is neither read nor sent again.
    known = storage.known(path, fmt, name)
    if known is not None:
        return known
    return storage.keep(FileBody(path), fmt, name)


def _folder(path: Path, policy: Policy, requested: str | None, name: str | None) -> ArtifactRef:
    fmt = format_for(None, requested or TREE)
    if fmt.id != TREE:
        raise NoFormatError(f"a directory cannot be declared to be {fmt.id}; leave the format out, or pass a file")
    storage = store_for(policy.store)
    return storage.known(path, fmt, name) or storage.keep_parts(partial(send_directory, path), fmt, name)


def _name_of(path: Path) -> str | None:
    name = path.name or path.resolve().name
    return name if is_filename(name) else None


def declared(requested: str | None) -> Format:
    """Return the format requested for raw bytes; ``bytes@1`` without a request.

    Raises:
        UnknownFormatError: There is no such format here.
        UnsafeFormatError: It is that of pickles.
    """
    # A signature states that this process encoded a value. It did not encode a file, which may come from anywhere.
    fmt = format_for(None, requested or "bytes@1")
    if not fmt.safe:
        raise UnsafeFormatError(
            f"a file cannot be declared to be {fmt.id}, as its bytes were not encoded here; return the value itself"
        )
    return fmt


def check_pickle(value: object, policy: Policy) -> None:
    """Check that a value may be pickled.

    Raises:
        UnsafeFormatError: The policy or a setting forbids it, or there is no key to sign with.
    """
    if not policy.pickle:
        raise UnsafeFormatError(
            f"a value of type {_described(value)} could only be pickled, and pickle=False forbids it; "
            "convert it, or register a format for it"
        )
    keys = settings.resolve().signing_keys
    try:
        signing.check_writable(keys, type_name(value))
    except UnsafeFormatError:
        # Only now: looking for the reason takes a while.
        signing.check_writable(keys, _described(value))
        raise


def _described(value: object) -> str:
    """Return the name of a value's type, with what of the value its own format does not hold."""
    reason = why_pickled(value)
    return type_name(value) if reason is None else f"{type_name(value)}, of which {reason},"
