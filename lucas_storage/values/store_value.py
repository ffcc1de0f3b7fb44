"""How one value becomes an artifact: by which format, inline or stored, and whether it may be pickled."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeGuard

from actorc.storage.rules import MiB
from actorc.storage.unsized_files import content_of_unsized
from lucas_storage import settings, signing
from lucas_storage.artifacts.body import EncodedBody, FileBody
from lucas_storage.artifacts.cache.copies import CONTENT
from lucas_storage.artifacts.chunks import BYTES, ByteStream, checked
from lucas_storage.artifacts.directories import Directory, LargeFile
from lucas_storage.artifacts.manifest import PART, WHOLE_MAX
from lucas_storage.artifacts.part_transfer import LargeValue
from lucas_storage.artifacts.store import store_for
from lucas_storage.errors import NoFormatError, UnsafeFormatError
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import Encoded, Format, type_name
from lucas_storage.formats.composite import STREAM, TREE
from lucas_storage.refs import ArtifactRef, inline_ref, is_filename

INLINE_LEAF: Final = 4096
"""Bytes of a leaf of a safe format that travel within the reference: a round trip costs more than they do."""
_NOTHING: Final = object()
NO_OPTIONS: Final[dict[str, Any]] = {"store": None, "inline_max": None, "pickle": None}
"""What a decorator without options says; settings decide everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Where results go, and what stays with the call. Holds no secret and may travel."""

    store: str = settings.DEFAULT_STORE
    inline_max: int = 0
    """Bytes of encoded JSON data up to which it travels inline."""
    pickle: bool = True
    """Whether a value that no other format holds may be pickled."""

    def is_inline(self, size: int) -> bool:
        """Say whether a leaf of `size` bytes travels within its reference."""
        return self.inline_max > 0 and size <= min(INLINE_LEAF, self.inline_max)


def policy_of(options: dict[str, Any]) -> Policy:
    """Return the policy for the options of a decorator, as completed by the settings in force."""
    present = settings.resolve(store=options["store"], inline_max=options["inline_max"])
    return Policy(
        store=present.store.value,
        inline_max=present.inline_max.value,
        pickle=options["pickle"] is not False,
    )


def artifact(value: Any, policy: Policy, requested: str | None = None, name: str | None = None) -> ArtifactRef:
    """Store a value, or put it into its reference if it is small and safe to read.

    Args:
        value: No container with artifacts of its own; those are the walker's.
        policy: Where it goes.
        requested: Format id or name; None lets the value decide.
        name: File name for those who ask for a path.

    Raises:
        NoFormatError: No format holds it, or not the one asked for.
        UnsafeFormatError: It can only be pickled, and that is denied or cannot be signed.
    """
    if isinstance(value, Path):
        return _path(value, policy, requested, name or _name_of(value))
    if isinstance(value, (io.RawIOBase, io.BufferedIOBase)):
        return _raw(iter(partial(value.read, MiB), b""), _declared(requested), policy, name)
    form = format_for(value, requested)
    if not form.safe:
        _check_pickle(value, policy)
    encoded = form.encode(value)
    if form.safe and policy.is_inline(encoded.size):
        return inline_ref(form.id, bytes(encoded), filename=name)
    return kept(encoded, form, policy, name)


def kept(encoded: Encoded, form: Format, policy: Policy, name: str | None = None) -> ArtifactRef:
    """Store what a format made of a value: as one object, or in parts if it is large."""
    storage = store_for(policy.store)
    if encoded.size > WHOLE_MAX or (encoded.apart and any(len(part) >= PART for part in encoded.parts)):
        return storage.keep_parts(LargeValue(encoded), form, name)
    return storage.keep(EncodedBody(encoded), form, name)


def is_stream(value: object) -> TypeGuard[Iterator[Any]]:
    """Say whether a value is run to its end as it is stored; open files are read instead."""
    return isinstance(value, Iterator) and not isinstance(value, io.IOBase)


def streamed(
    stream: Iterator[Any],
    policy: Policy,
    line: Callable[[Any], bytes],
    requested: str | None = None,
    name: str | None = None,
) -> ArtifactRef | list[Any]:
    """Run an iterator to its end and store what it gives meanwhile; part by part, never as a whole in memory.

    Args:
        stream: Gives bytes, or anything else.
        policy: Where it goes.
        line: Returns one item as JSON, for a stream of anything else than bytes.
        requested: Format of the bytes taken together; None keeps the items apart.
        name: File name for those who ask for a path.

    Returns:
        The reference; or all items, if a format is requested and they are not bytes, for that format to hold.

    Raises:
        TypeError: It gave bytes and then something else.
    """
    first = next(stream, _NOTHING)
    every = stream if first is _NOTHING else chain((first,), stream)
    are_bytes = isinstance(first, BYTES)
    if requested not in (None, STREAM, STREAM.partition("@")[0]):
        return _raw(checked(every), _declared(requested), policy, name) if are_bytes else list(every)
    body = ByteStream(every, items=True) if are_bytes else ByteStream(_lines(every, line), items=False)
    return store_for(policy.store).keep_parts(body, format_by_id(STREAM), name)


def _lines(items: Iterator[Any], line: Callable[[Any], bytes]) -> Iterator[bytes]:
    for item in items:
        yield line(item) + b"\n"


def _raw(pieces: Iterator[bytes], form: Format, policy: Policy, name: str | None) -> ArtifactRef:
    """Store bytes of which nobody knows yet how many there are."""
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) > PART:
            return store_for(policy.store).keep_parts(ByteStream(chain((head,), pieces), items=False), form, name)
    if policy.is_inline(len(head)):
        return inline_ref(form.id, bytes(head), filename=name)
    return kept(Encoded((bytes(head),)), form, policy, name)


def _path(path: Path, policy: Policy, requested: str | None, name: str | None) -> ArtifactRef:
    if path.is_dir():
        return _folder(path, policy, requested, name)
    form = _declared(requested)
    content = content_of_unsized(path)
    if content is not None:
        return _raw(iter((content,)), form, policy, name)
    size = path.stat().st_size
    if policy.is_inline(size):
        return inline_ref(form.id, path.read_bytes(), filename=name)
    storage = store_for(policy.store)
    known = storage.known(path, form, name)
    if known is not None:
        return known
    if size > WHOLE_MAX:
        return storage.keep_parts(LargeFile(path), form, name)
    return storage.keep(FileBody(path), form, name)


def _folder(path: Path, policy: Policy, requested: str | None, name: str | None) -> ArtifactRef:
    form = format_for(None, requested or TREE)
    if form.id != TREE:
        raise NoFormatError(f"a directory cannot be declared to be {form.id}; leave the format out, or pass a file")
    storage = store_for(policy.store)
    return storage.known(path, form, name) or storage.keep_parts(Directory(path), form, name)


def _name_of(path: Path) -> str | None:
    name = path.name or path.resolve().name
    return name if is_filename(name) and name != CONTENT else None


def _declared(requested: str | None) -> Format:
    """Return the format that a file is said to have."""
    form = format_for(None, requested or "bytes@1")
    if not form.safe:
        raise UnsafeFormatError(
            f"a file cannot be declared to be {form.id}, as its bytes were not encoded here; return the value itself"
        )
    return form


def _check_pickle(value: object, policy: Policy) -> None:
    if not policy.pickle:
        raise UnsafeFormatError(
            f"a value of type {type_name(value)} could only be pickled, and pickle=False forbids it; "
            "convert it, or register a format for it"
        )
    signing.check_writable(settings.resolve().signing_keys, type_name(value))
