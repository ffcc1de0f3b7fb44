"""Formats of other packages, and how they are held to what formats promise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

from lucas_storage.errors import DecodeError, StorageError
from lucas_storage.preview_data import Preview
from lucas_storage.signing import demand

from .base import Encoded, Format, Source, not_mine, stored

if TYPE_CHECKING:
    from lucas_storage.signing import Verified


class RegisteredFormat(Format):
    """A format of another package: its codec, asked only for what it holds, and its errors as those of formats."""

    def __init__(self, format_id: str, cls: type, types: Iterable[type], *, safe: bool) -> None:
        self._codec = cls()
        self._types = frozenset(types)
        self.id = format_id
        self.safe = safe
        self.origin = (cls.__module__, cls.__qualname__)
        self.content_type = getattr(cls, "content_type", Format.content_type)
        self.extension = getattr(cls, "extension", Format.extension)

    def handles(self, value: object) -> bool:
        """Return whether `value` is exactly of one of the classes that were registered."""
        return type(value) in self._types

    def encode(self, value: Any) -> Encoded:
        """Return what the codec makes of `value`; its errors are raised unchanged."""
        if not self.handles(value):
            raise not_mine(self.id, value, "let the value decide its format")
        return Encoded.of(self._codec.encode(value))

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return what the codec makes of the bytes, or the bytes; an unsafe codec is not called without proof."""
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        if not self.safe:  # here, not in the codec: a package that forgets to check must not be able to run code
            demand(proof, self.id)
        try:
            return self._codec.decode(source, want)
        except StorageError:  # of the source: the bytes could not be read, and say nothing about the format
            raise
        except Exception as error:
            raise DecodeError(
                f"an artifact of format {self.id} could not be decoded, {type(error).__name__}"
            ) from error

    def preview(self, file: BinaryIO, size: int, count: int) -> Preview | None:
        """Return what the codec's own `preview` makes of the bytes; None if it has none. Its errors are its own.

        Raises:
            TypeError: It made no `Preview`.
        """
        make = getattr(self._codec, "preview", None)
        found = None if make is None else make(file, size, count)
        if not (found is None or isinstance(found, Preview)):
            raise TypeError(f"it returned a {type(found).__name__}; return a lucas_storage.formats.Preview")
        return found
