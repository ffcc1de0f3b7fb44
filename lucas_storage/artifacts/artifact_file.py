"""A file that is written into an artifact, part by part."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from actorc.storage.buffers import flat_view

from .manifest import Manifest
from .part_transfer import Cutter, PartSender, stored

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from lucas_storage.refs import ArtifactRef


class ArtifactFile(io.BufferedIOBase):
    """A binary file for writing, for one thread; `Storage.writer` opens one and publishes it.

    Buffers are copied as they are written. No more than four parts of 8 MiB are held; they are stored while the rest is
    written.

    Args:
        parts: Stores the parts.
    """

    def __init__(self, parts: PartSender) -> None:
        self._cutter = Cutter(parts)
        self._written = 0
        self._ref: ArtifactRef | None = None

    @property
    def ref(self) -> ArtifactRef:
        """The reference of the artifact, once the ``with`` body has ended without an error.

        Raises:
            ValueError: It has not.
        """
        if self._ref is None:
            raise ValueError("the file has no reference before the end of its with block, or after an error in it")
        return self._ref

    def publish(self, ref: ArtifactRef) -> None:
        """Take the reference under which all bytes are stored."""
        self._ref = ref

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Write all bytes of a buffer and return their number.

        Raises:
            TypeError: It is no buffer.
            InvalidParameterError: It has gaps, or holds Python objects.
            ValueError: The file is closed.
            StorageError: A part before it could not be stored.
        """
        if self.closed:
            raise ValueError("write to a closed file")
        view = flat_view(data)
        self._cutter.add(view)
        self._written += len(view)
        return len(view)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._written

    def short(self) -> bytes | None:
        """Return all bytes if they are fewer than a part, of which none is stored yet; None otherwise."""
        return self._cutter.short()

    def manifest(self) -> Manifest:
        """Store the last part, wait for all of them, and return their manifest."""
        return Manifest(parts=stored(self._cutter.end()))
