"""MIME types of objects, guessed from their names."""

from __future__ import annotations

from typing import Final

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"


def guess_content_type(name: str) -> str:
    """Return the MIME type that the file name extension of `name` stands for."""
    # most keys of programs have no extension; the library takes ten times as long to find that out
    if "." not in name and ":" not in name:
        return DEFAULT_CONTENT_TYPE
    import mimetypes  # noqa: PLC0415  # slow to load, and only what stores needs it

    guessed, encoding = mimetypes.guess_type(name)
    if encoding == "gzip":
        return "application/gzip"
    return guessed or DEFAULT_CONTENT_TYPE
