"""Reads artifacts as bytes: from their local copies, or part by part; no byte is handed out before it is verified."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Final

from actorc.storage.files.seekable_reader import BlobFile
from actorc.storage.rules import MiB
from lucas_storage.errors import DecodeError
from lucas_storage.formats.composite import TREE
from lucas_storage.refs import ArtifactRef

from .chunks import items_of, lines_of
from .local_copies import LocalCopies
from .manifest import WHOLE_MAX
from .stored_bytes import StoredBytes

RANGES_FROM: Final = MiB
"""Bytes from which on ranges are fetched; a round trip for each costs more than all of a smaller artifact."""


class ArtifactReader:
    """Reads the artifacts of one store. Safe to share between threads.

    Args:
        stored: The bytes that the store holds.
        copies: The local copies of them.
    """

    def __init__(self, stored: StoredBytes, copies: LocalCopies) -> None:
        self.stored = stored
        self.copies = copies

    def chunks(self, ref: ArtifactRef) -> Iterator[bytes]:
        """Return the bytes in order, in verified pieces; those of a large artifact are not cached.

        Raises:
            ArtifactError: At once, if the artifact cannot be read at all.
        """
        is_small = ref.kind == "blob" and ref.size <= WHOLE_MAX
        if ref.format == TREE or is_small or self.copies.cached(ref) is not None:
            return _file_pieces(self._opener(ref))
        return self.stored.checked_pieces(ref)

    def records(self, ref: ArtifactRef) -> tuple[Iterator[bytes], bool]:
        """Return the items of a stream, and whether they are bytes, rather than records of ``json@1``."""
        manifest = self.stored.manifest(ref)
        if manifest.items is None:
            return lines_of(self.chunks(ref)), False
        return items_of(self.chunks(ref), self.stored.bytes_of(ref, manifest.items)), True

    def open(self, ref: ArtifactRef) -> BinaryIO:
        """Return the bytes as a seekable file; of a large artifact only the parts that are read are fetched."""
        if ref.format != TREE and ref.size <= WHOLE_MAX:
            return self._copy(ref)
        return self._opener(ref)()

    def ranges(self, ref: ArtifactRef) -> BinaryIO:
        """Return the bytes as a seekable file for reads in few places: the local copy, or the ranges that are read."""
        if ref.format == TREE:
            raise _no_bytes(ref)
        if ref.size < RANGES_FROM or self.copies.cached(ref) is not None:
            return self.open(ref)
        return self.stored.ranges(ref)

    def _opener(self, ref: ArtifactRef) -> Callable[[], BinaryIO]:
        """Check that an artifact can be read, and return a function that opens it."""
        if ref.format == TREE:
            raise _no_bytes(ref)
        if ref.size <= WHOLE_MAX or self.copies.cached(ref) is not None:
            self.copies.copy(ref).close()
            return partial(self._copy, ref)
        return self.stored.opener(ref)

    def _copy(self, ref: ArtifactRef) -> BinaryIO:
        file = self.copies.copy(ref)
        return io.BufferedReader(file, MiB) if isinstance(file, BlobFile) else file


def _file_pieces(opener: Callable[[], BinaryIO]) -> Iterator[bytes]:
    with opener() as file:
        yield from iter(partial(file.read, MiB), b"")


def _no_bytes(ref: ArtifactRef) -> DecodeError:
    return DecodeError("a directory has no bytes of its own; annotate Path, or ask for path(ref, only=…)", ref=ref)
