"""How one value becomes an artifact: by which format, inline or stored, and whether it may be pickled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from . import scratch, settings, signing
from .bodies import EncodedBody, FileBody
from .errors import NoFormatError, UnsafeFormatError
from .formats import format_for
from .formats.base import Format, type_name
from .refs import ArtifactRef, inline_ref, is_filename
from .storage import storage_for

INLINE_LEAF: Final = 4096
"""Bytes of a leaf of a safe format that travel within the reference: a round trip costs more than they do."""
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


@dataclass(frozen=True, slots=True)
class Spooled:
    """What an iterator of bytes gave, in a file of ours."""

    path: Path


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
    if isinstance(value, Spooled):
        return _file(value.path, policy, requested, name)
    if isinstance(value, Path):
        return _file(value, policy, requested, name or (value.name if is_filename(value.name) else None))
    form = format_for(value, requested)
    if not form.safe:
        _check_pickle(value, policy)
    encoded = form.encode(value)
    if form.safe and policy.is_inline(encoded.size):
        return inline_ref(form.id, bytes(encoded), filename=name)
    return storage_for(policy.store).keep(EncodedBody(encoded), form, name)


def drained(stream: Iterator[Any]) -> list[Any] | Spooled:
    """Run an iterator to its end: one that begins with bytes into a file, any other into a list.

    Raises:
        TypeError: It gave bytes and then something else.
    """
    for first in stream:
        if isinstance(first, (bytes, bytearray, memoryview)):
            return _spool(first, stream)
        return [first, *stream]
    return []


def _spool(first: Any, rest: Iterator[Any]) -> Spooled:
    path = scratch.directory() / "stream"
    with path.open("wb") as file:
        file.write(first)
        for piece in rest:
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise TypeError(f"an iterator gave bytes and then a {type_name(piece)}; let it give one kind")
            file.write(piece)
    return Spooled(path)


def _file(path: Path, policy: Policy, requested: str | None, name: str | None) -> ArtifactRef:
    if path.is_dir():
        raise NoFormatError(
            f"the path {path.name!r} is a directory, and directories cannot be stored yet; pass an archive or its files"
        )
    form = _declared(requested)
    body = FileBody(path)
    if policy.is_inline(body.size):
        return inline_ref(form.id, path.read_bytes(), filename=name)
    return storage_for(policy.store).keep(body, form, name)


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
