"""What the headers of an answer tell about an object, and keep a browser from doing with it."""

from __future__ import annotations

from email.utils import format_datetime
from typing import Final
from urllib.parse import quote

from actorc.storage.models import WHOLE, ByteRange, ObjectInfo
from actorc.storage.rules import DEFAULT_CONTENT_TYPE

ALWAYS: Final = {
    "Server": "lucas-storage",
    "X-Content-Type-Options": "nosniff",
    # the address of a page is told to every site it links to, and here the address is the permission
    "Referrer-Policy": "no-referrer",
    # caches keep nothing of it without asking: the URL ends, and the object may be replaced
    "Cache-Control": "private, no-cache",
}
"""In every answer."""

_ACTIVE: Final = ("html", "xml", "svg")
"""Types that hold these can run scripts in the name of this origin."""
_HARMLESS: Final = {"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox; default-src 'none'"}


def object_headers(info: ObjectInfo, part: ByteRange | None = None) -> dict[str, str]:
    """Return the headers that go with an object, or with the bytes `part` of it."""
    first, stop = (part or WHOLE).clamp(info.size)
    return {
        **identity_headers(info),
        "Content-Type": info.content_type if info.content_type.isascii() else DEFAULT_CONTENT_TYPE,
        "Content-Length": str(stop - first),
        "Accept-Ranges": "bytes",
        **({} if part is None else {"Content-Range": f"bytes {first}-{stop - 1}/{info.size}"}),
        **(_HARMLESS if is_active(info.content_type) else {}),
        **{f"x-acs-meta-{quote(name, safe='')}": quote(value, safe="") for name, value in info.metadata.items()},
    }


def identity_headers(info: ObjectInfo) -> dict[str, str]:
    """Return the headers that tell which generation of the object it is."""
    return {
        "ETag": f'"{info.etag}"',
        "Last-Modified": format_datetime(info.last_modified, usegmt=True),
        "x-acs-generation": str(info.generation),
        "x-acs-crc32c": f"{info.crc32c:08x}",
    }


def is_active(content_type: str) -> bool:
    """Return whether a browser may run what is in an object of this type."""
    essence = content_type.partition(";")[0].lower()
    return any(word in essence for word in _ACTIVE)
