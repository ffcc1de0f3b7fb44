"""Answers as responses: JSON with an etag, or the bytes of an object."""

from __future__ import annotations

import hashlib
import time
from typing import Any, Final

from actorc.storage._wire.url_signing import Grant
from actorc.storage.server.auth.authorized_store import AuthorizedStore
from actorc.storage.server.http import objects
from actorc.storage.server.http.errors import Refusal
from actorc.storage.server.http.exchange import Exchange
from actorc.storage.server.telemetry.access_log import AccessLog

from .json_text import CONTENT_TYPE, json_text
from .routes import Content

HEADERS: Final = {
    "Cache-Control": "no-store",
    # an answer is data wherever a browser is led to it
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer, beside those of every response."""
_LARGEST: Final = 32 << 20
"""Bytes of an answer."""
_SECONDS: Final = 60
"""Seconds for which the permission to read an object is given to its transfer, which begins at once."""


def send_answer(
    exchange: Exchange, store: AuthorizedStore, found: Any, access_log: AccessLog, *, status: int = 200
) -> None:
    """Send what a route returned.

    Args:
        exchange: The request and its response.
        store: The operations, as the caller may use them.
        found: The answer.
        access_log: Counts transfers.
        status: Of an answer in JSON.

    Raises:
        Refusal: 304, the caller has it; 413, it is too large.
        StorageError: The object cannot be read.
    """
    if isinstance(found, Content):
        grant = Grant(method="GET", bucket=found.bucket, key=found.key, expires_at=int(time.time()) + _SECONDS)
        with access_log.transfer():
            objects.answer(exchange, store, grant)
        return
    body = json_text(found)
    if len(body) > _LARGEST:
        raise Refusal(413, "TooLarge", f"the answer takes {len(body)} bytes, at most {_LARGEST} are sent; ask for less")
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if exchange.method != "POST" and etag in map(str.strip, exchange.headers.get("If-None-Match", "").split(",")):
        raise Refusal(304, "NotModified", "the answer is the one the caller has", {**HEADERS, "ETag": etag})
    exchange.begin(status, {**HEADERS, "Content-Type": CONTENT_TYPE, "Content-Length": str(len(body)), "ETag": etag})
    if exchange.method != "HEAD":
        exchange.write(body)
