"""Names of artifacts in a bundle: those that people look for after `unzip`, and safe in every file system."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final

from lucas_storage.errors import UnknownFormatError
from lucas_storage.formats import format_by_id
from lucas_storage.refs import ArtifactRef

_UNSAFE: Final = re.compile(r"[^\w.-]+")
_SAFE_SEGMENT: Final = re.compile(r"[\w.][\w .@+=,-]*(?<![ .])")
_LONGEST: Final = 60
"""Characters of the part of a name that people read."""
_SUFFIX: Final = 16
"""Likewise of what follows its last dot."""
_DIGITS: Final = 12
"""Of the digest, which tells artifacts of one name apart."""


def artifact_name(ref: ArtifactRef, label: str) -> str:
    """Return the name of the entry of an artifact, without the suffix of a manifest.

    Args:
        ref: A stored artifact with a digest.
        label: What it is, where it has no file name of its own.
    """
    stem, extension = _stem(ref, label)
    digits = (ref.digest or "").removeprefix("sha256:")[:_DIGITS]
    return f"artifacts/{stem}-{digits}{extension}"


def part_name(above: str, number: int, count: int) -> str:
    """Return the name of one of the parts of an artifact or a file; in the order of their names they are joined."""
    return f"{above}/{number:0{len(str(count - 1))}}"


def file_name(above: str, path: str) -> str | None:
    """Return the name of a file of a directory; None if its path has names that some file systems do not take."""
    segments = path.split("/")
    return f"{above}/{path}" if all(map(_SAFE_SEGMENT.fullmatch, segments)) else None


def folded(name: str) -> str:
    """Return what is equal of names that are one file on some file systems: in another case, or composed otherwise."""
    return unicodedata.normalize("NFC", name).casefold()


def _stem(ref: ArtifactRef, label: str) -> tuple[str, str]:
    if ref.filename is not None:
        file = PurePosixPath(ref.filename)
        return _safe(file.stem), _UNSAFE.sub("", file.suffix)[:_SUFFIX]
    return _safe(label), _extension(ref.format)


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text).lstrip(".-")[:_LONGEST] or "artifact"


def _extension(format_id: str) -> str:
    try:
        return format_by_id(format_id).extension
    except UnknownFormatError:
        return ""
