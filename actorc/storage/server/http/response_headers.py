"""Headers of responses with objects, among them those that keep browsers from running their content."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote

from actorc.storage.content_types import DEFAULT_CONTENT_TYPE
from actorc.storage.models import WHOLE, ByteRange, ObjectInfo

ALWAYS: Final = {
    "Server": "lucas-storage",
    "X-Content-Type-Options": "nosniff",
    # browsers tell the URL of a page to every site it links to, and here the URL is the permission
    "Referrer-Policy": "no-referrer",
    # caches must ask each time: the URL expires, and the object may be replaced
    "Cache-Control": "private, no-cache",
}
"""Headers of every response."""

_ACTIVE: Final = ("html", "xml", "svg", "xsl", "multipart/", "message/")
"""Parts of content types that browsers show as documents which can run scripts, or that have such documents in them."""
_SANDBOX: Final = "sandbox"
_EMPTY_SANDBOX: Final = "sandbox; default-src 'none'"
"""A sandbox that loads nothing; pictures and films are documents that load themselves, so they get the other one."""
_UNBOXED: Final = "application/pdf"
"""A type whose viewer does not start in a sandbox; its scripts run in the viewer, which is an origin of its own."""

_MAX_METADATA_LINES: Final = 80
"""Python's ``http.client`` reads 100 headers; a response has up to 18 others."""
_MAX_METADATA_BYTES: Final = 8000
"""aiohttp reads lines of 8190 bytes, Node.js and h11 responses whose headers take 16 KiB."""


def object_headers(info: ObjectInfo, part: ByteRange | None = None) -> dict[str, str]:
    """Return the headers of an object, or of the range `part` of it."""
    first, stop = (part or WHOLE).clamp(info.size)
    return {
        **identity_headers(info),
        "Content-Type": _shown_type(info.content_type),
        "Content-Length": str(stop - first),
        "Accept-Ranges": "bytes",
        **({} if part is None else {"Content-Range": f"bytes {first}-{stop - 1}/{info.size}"}),
        **_confinement(info.content_type),
        **_metadata_headers(info.metadata),
    }


def identity_headers(info: ObjectInfo) -> dict[str, str]:
    """Return the headers that identify the generation of an object."""
    return {
        "ETag": f'"{info.etag}"',
        "Last-Modified": format_datetime(info.last_modified, usegmt=True),
        "x-acs-generation": str(info.generation),
        "x-acs-crc32c": f"{info.crc32c:08x}",
    }


def is_active(content_type: str) -> bool:
    """Return whether a browser may run the content of an object of this type."""
    essence = _essence(content_type)
    return any(word in essence for word in _ACTIVE)


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _shown_type(content_type: str) -> str:
    """Return the type as a header; a text that names no encoding is UTF-8, since browsers would take another one."""
    if not content_type.isascii():
        return DEFAULT_CONTENT_TYPE
    names_encoding = "charset" in content_type.partition(";")[2].lower()
    is_plain_text = _essence(content_type).startswith("text/") and not names_encoding
    return f"{content_type.rstrip('; ')}; charset=utf-8" if is_plain_text else content_type


def _confinement(content_type: str) -> dict[str, str]:
    """Return headers that keep the content of an object from acting in the name of this origin."""
    if is_active(content_type):
        return {"Content-Disposition": "attachment", "Content-Security-Policy": _EMPTY_SANDBOX}
    return {} if _essence(content_type) == _UNBOXED else {"Content-Security-Policy": _SANDBOX}


def _metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata that every client can read as headers, and how many entries are missing, if some are.

    Names are ordered, so that the same entries are there in each response. Header names have no case: of names that
    differ in nothing else, the first is there.
    """
    lines: dict[str, str] = {}
    taken = set()
    room = _MAX_METADATA_BYTES
    for name, value in sorted(metadata.items()):
        line, text = f"x-acs-meta-{quote(name, safe='')}", quote(value, safe="")
        left = room - len(line) - len(text) - 4  # a colon, a space, the end of the line
        if line.lower() not in taken and len(lines) < _MAX_METADATA_LINES and left >= 0:
            lines[line] = text
            taken.add(line.lower())
            room = left
    missing = len(metadata) - len(lines)
    return {**lines, "x-acs-missing-meta": str(missing)} if missing else lines
