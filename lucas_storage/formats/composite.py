"""The formats of directories and streams: always manifests, written while they are stored and not by an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .base import Encoded, Format, Source, cannot_become, not_mine, stored

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

TREE: Final = "tree@1"
STREAM: Final = "stream@1"


class TreeFormat(Format):
    """A directory of regular files."""

    id = TREE

    def handles(self, value: object) -> bool:
        """Return False: a path is not a value but the name of one."""
        del value
        return False

    def encode(self, value: Any) -> Encoded:
        """Raise `NoFormatError`: directories are stored file by file."""
        raise not_mine(self.id, value, "pass the Path of a directory")

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the path of the directory."""
        del proof
        if want not in (None, "any", "path"):
            raise cannot_become(self.id, want, "Path")
        return source.path()


class StreamFormat(Format):
    """The items of an iterator; as a file, their bytes, or one line of JSON for each."""

    id = STREAM

    def handles(self, value: object) -> bool:
        """Return False: an iterator is run while it is stored."""
        del value
        return False

    def encode(self, value: Any) -> Encoded:
        """Raise `NoFormatError`: streams are stored item by item."""
        raise not_mine(self.id, value, "pass an iterator")

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the bytes of all items together, as they are or as text; items are read by `load_value`."""
        del proof
        if want == "str":
            return str(source.read(), "utf-8", "surrogatepass")
        as_stored = stored(source, want)
        if as_stored is None:
            raise cannot_become(self.id, want, "Iterator, list, bytes, str, Path or BinaryIO")
        return as_stored
