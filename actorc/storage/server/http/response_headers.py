"""Headers of responses with objects, among them those that keep browsers from running their content."""

from __future__ import annotations

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

_ACTIVE: Final = ("html", "xml", "svg")
"""Parts of content types that can run scripts in the name of this origin."""
_SANDBOX_HEADERS: Final = {
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


def object_headers(info: ObjectInfo, part: ByteRange | None = None) -> dict[str, str]:
    """Return the headers of an object, or of the range `part` of it."""
    first, stop = (part or WHOLE).clamp(info.size)
    return {
        **identity_headers(info),
        "Content-Type": info.content_type if info.content_type.isascii() else DEFAULT_CONTENT_TYPE,
        "Content-Length": str(stop - first),
        "Accept-Ranges": "bytes",
        **({} if part is None else {"Content-Range": f"bytes {first}-{stop - 1}/{info.size}"}),
        **(_SANDBOX_HEADERS if is_active(info.content_type) else {}),
        **{f"x-acs-meta-{quote(name, safe='')}": quote(value, safe="") for name, value in info.metadata.items()},
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
    essence = content_type.partition(";")[0].lower()
    return any(word in essence for word in _ACTIVE)
