"""Manifests: the parts of a stream or a directory, and of a pickle with large buffers, as one canonical JSON text.

::

    {"manifest":1,"parts":[[sha256,bytes,crc32c],…]}                   one file, its parts in order
    {"manifest":1,"items":[…],"parts":[…]}                             a stream of bytes; `items` holds their lengths
    {"files":[{"executable":…,"parts":[…],"path":…},…],"folders":[…],"manifest":1}                    a directory

Every part is a blob under its own digest. The names and the version are forever. A manifest comes from a bucket, so
nothing in it is believed: what breaks a rule is refused before anything is read or written by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from actorc.storage.rules import MiB
from lucas_storage import limits
from lucas_storage.errors import DecodeError, UnsupportedError
from lucas_storage.references.fields import is_filename

VERSION: Final = 1
PART: Final = 8 * MiB
"""Bytes of a part as it is written; the last of a file is shorter."""
WHOLE_MAX: Final = 64 * MiB
"""Bytes up to which an artifact that is opened as a file is fetched whole; also the longest part and manifest."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CRC32C = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Consecutive bytes of an artifact, stored as a blob of their own."""

    digest: str
    """``sha256:`` and 64 hexadecimal digits."""
    size: int
    """Bytes, at least one."""
    crc32c: str
    """8 hexadecimal digits, as stores report it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """A regular file of a directory."""

    path: str
    """Relative to the directory, with slashes."""
    executable: bool
    parts: tuple[Part, ...]
    """In order; none if the file is empty."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The parts of an artifact. Equal artifacts, cut alike, have equal manifests."""

    parts: tuple[Part, ...] = ()
    """The bytes in order; for a directory, none of its own."""
    items: tuple[Part, ...] | None = None
    """The lengths of the items of a stream of bytes, as `chunks` writes them; None for anything else."""
    files: tuple[TreeFile, ...] | None = None
    """Sorted by path; None if this is no directory."""
    folders: tuple[str, ...] = ()
    """Directories that hold nothing, sorted."""

    @property
    def is_tree(self) -> bool:
        """Whether this is a directory."""
        return self.files is not None

    @property
    def size(self) -> int:
        """Bytes of the artifact; a directory has those of its files."""
        return sum(part.size for part in self.parts) + sum(file.size for file in self.files or ())

    def reached(self) -> Iterator[Part]:
        """Yield every part, of data and of lengths; one that is used twice comes twice."""
        yield from self.parts
        yield from self.items or ()
        for file in self.files or ():
            yield from file.parts

    def encode(self) -> bytes:
        """Return the canonical text."""
        # Sorted and without spaces: the digest of this text is the identity of the artifact, so one manifest must
        # have one text, whichever version of Python writes it.
        fields: dict[str, Any] = {"manifest": VERSION}
        if self.files is None:
            fields["parts"] = _parts_text(self.parts)
        else:
            fields["files"] = [
                {"path": file.path, "executable": file.executable, "parts": _parts_text(file.parts)}
                for file in self.files
            ]
            fields["folders"] = self.folders
        if self.items is not None:
            fields["items"] = _parts_text(self.items)
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, text: bytes) -> Manifest:
        """Return the manifest that a text describes.

        Raises:
            DecodeError: It is none, or a part or path in it breaks a rule.
            UnsupportedError: It is of a newer version.
        """
        try:
            fields = json.loads(text)
            version = fields["manifest"]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise _refused("it is not JSON of that kind") from error
        # Before anything else is read: fields of a newer version may mean something else.
        if version != VERSION:
            raise UnsupportedError(
                f"a manifest of version {version!r:.20} needs a newer lucas-storage; upgrade it here"
            )
        try:
            items = fields.get("items")
            if "files" in fields:
                return cls(**_read_tree(fields["files"], fields["folders"]))
            return cls(parts=_read_parts(fields["parts"]), items=None if items is None else _read_parts(items))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise _refused(str(error)) from error


def _parts_text(parts: tuple[Part, ...]) -> list[list[str | int]]:
    return [[part.digest.removeprefix("sha256:"), part.size, part.crc32c] for part in parts]


def _read_parts(found: Any) -> tuple[Part, ...]:
    return tuple(_read_part(*fields) for fields in _list(found))


def _list(found: Any) -> list[Any]:
    if type(found) is not list:
        raise ValueError("what holds several is no list")
    return found


def _read_part(sha256: Any, size: Any, crc32c: Any) -> Part:
    # A bound on each part bounds the memory of a reader, which holds parts whole to verify them.
    if type(size) is not int or not 1 <= size <= WHOLE_MAX:
        raise ValueError(f"a part has 1 to {WHOLE_MAX} bytes, not {size!r:.20}")
    if not _SHA256.fullmatch(sha256) or not _CRC32C.fullmatch(crc32c):
        raise ValueError("a digest or checksum is not hexadecimal of the right length")
    return Part(digest=f"sha256:{sha256}", size=size, crc32c=crc32c)


def _read_tree(found: Any, folders: Any) -> dict[str, Any]:
    files = tuple(
        TreeFile(path=file["path"], executable=file["executable"] is True, parts=_read_parts(file["parts"]))
        for file in _list(found)
    )
    check_paths([file.path for file in files], _list(folders))
    return {"files": files, "folders": tuple(folders)}


def check_paths(files: list[str], folders: list[str]) -> None:
    """Check that paths stay within their directory and that none lies within another file.

    Raises:
        ValueError: One is absolute, leads out, is no path, is there twice, lies within a file, is too long or too deep,
            or there are too many.
    """
    every = [*files, *folders]
    # Counts before contents: what a stranger stored is not worked through first and refused afterwards.
    if len(every) > limits.FILES:
        raise ValueError(f"a directory has at most {limits.FILES} files, not {len(every)}")
    for path in every:
        if type(path) is str and (
            path.count("/") >= limits.DEPTH or len(path.encode(errors="replace")) > limits.PATH_BYTES
        ):
            raise ValueError(
                f"a path has at most {limits.DEPTH} names and {limits.PATH_BYTES} bytes, and {path!r:.80} has more"
            )
        if type(path) is not str or not all(map(is_filename, path.split("/"))):
            raise ValueError(f"the path {path!r:.80} is not one within a directory")
    known = set(every)
    if len(known) != len(every):
        raise ValueError("a path is there twice")
    for path in every:
        above = path.rpartition("/")[0]
        while above:
            if above in known:
                raise ValueError(f"the path {above!r:.80} holds others and is not listed as a directory that does")
            above = above.rpartition("/")[0]


def _refused(why: str) -> DecodeError:
    return DecodeError(f"the manifest of an artifact breaks a rule, and nothing was read by it; {why}")
