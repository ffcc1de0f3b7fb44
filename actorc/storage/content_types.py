"""MIME types of objects, guessed from their names."""

from __future__ import annotations

from typing import Final

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"

_COMPRESSED: Final = {
    "7z": "application/x-7z-compressed",
    "br": "application/x-brotli",
    "bz2": "application/x-bzip2",
    "gz": "application/gzip",
    "lz": "application/x-lzip",
    "lz4": "application/x-lz4",
    "lzma": "application/x-lzma",
    "lzo": "application/x-lzop",
    "svgz": "application/gzip",
    "taz": "application/x-compress",
    "tbz": "application/x-bzip2",
    "tbz2": "application/x-bzip2",
    "tgz": "application/gzip",
    "tlz": "application/x-lzma",
    "txz": "application/x-xz",
    "tzst": "application/zstd",
    "xz": "application/x-xz",
    "z": "application/x-compress",
    "zst": "application/zstd",
    "zstd": "application/zstd",
}
"""Types of compressed bytes by the last extension; names are those of IANA, else of the shared MIME-info database."""


def guess_content_type(name: str) -> str:
    """Return the MIME type that the file name extension of `name` stands for.

    A compressed file has the type of its compression and not that of its content: its bytes are no CSV or HTML.
    """
    # a key may be anything, and only its last segment is a file name; the library would read others as URLs
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    # most keys of programs have no extension; the library takes ten times as long to find that out
    if not dot or not stem:
        return DEFAULT_CONTENT_TYPE
    compressed = _COMPRESSED.get(extension.lower())
    if compressed is not None:
        return compressed
    import mimetypes  # noqa: PLC0415  # slow to load, and only what stores needs it

    guessed, encoding = mimetypes.guess_type(f"name.{extension}")
    # an encoding that is not listed above: the bytes are something compressed
    return DEFAULT_CONTENT_TYPE if guessed is None or encoding else guessed
