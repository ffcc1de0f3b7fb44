"""Headers that keep pages to this program, and objects from being pages."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

ALWAYS: Final = {
    # Nothing but the files of the program, and pictures that a page carries itself; no code within a page runs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The token is in every address, so no other site is told one. This one is: else browsers send forms with an origin
    # that could be any site's.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def of_download(name: str) -> dict[str, str]:
    """Return the headers of an object on its way to a file: no browser shows it, or runs code in it.

    Args:
        name: The name that the file gets; any text.
    """
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in name)[-100:]
    encoded = quote(name[-100:], safe="", errors="replace")
    return {
        **ALWAYS,
        "Content-Type": "application/octet-stream",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": f"attachment; filename=\"{plain or 'object'}\"; filename*=UTF-8''{encoded}",
    }
