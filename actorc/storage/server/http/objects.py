"""GET, HEAD, PUT and DELETE of objects, on a thread that may block."""

from __future__ import annotations

import time
from contextlib import ExitStack

from actorc.storage._wire.checksum import BlockSums, crc32c
from actorc.storage._wire.url_signing import Grant
from actorc.storage.errors import NotFoundError, PreconditionFailedError
from actorc.storage.models import WHOLE, Chunk, ObjectAttributes, ObjectInfo
from actorc.storage.rules import MAX_OBJECT_SIZE
from actorc.storage.server.auth.authorized_store import AuthorizedStore

from . import descriptions
from .conditions import change_condition, check_read, names_no_etag
from .errors import Refusal
from .exchange import Exchange
from .ranges import wanted_range
from .response_headers import identity_headers, is_active, object_headers

_READING = ("GET", "HEAD")
_ATTEMPTS = 5
"""How often an object may be replaced between its description and its opening."""


def answer(exchange: Exchange, store: AuthorizedStore, grant: Grant) -> None:
    """Perform the request, which `grant` allows, and send the response.

    Raises:
        Refusal: The request is refused.
        StorageError: The operation failed.
    """
    if descriptions.is_asked_for(exchange.target):
        _describe(exchange, store, grant)
    else:
        {"GET": _get, "HEAD": _head, "PUT": _put, "DELETE": _delete}[exchange.method](exchange, store, grant)


def _describe(exchange: Exchange, store: AuthorizedStore, grant: Grant) -> None:
    if exchange.method not in _READING:
        raise Refusal(400, "InvalidParameter", "the description of an object can only be read; use GET")
    info = store.head(grant.bucket, grant.key)
    check_read(exchange.headers, info)
    body = descriptions.description(info)
    headers = {"Content-Type": descriptions.CONTENT_TYPE, "Content-Length": str(len(body))}
    exchange.begin(200, {**identity_headers(info), **headers})
    if exchange.method == "GET":
        exchange.write(body)


def _get(exchange: Exchange, store: AuthorizedStore, grant: Grant) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        info = store.head(grant.bucket, grant.key)
        check_read(exchange.headers, info)
        part = wanted_range(exchange.headers, info)
        if location := _redirect_location(exchange, store, grant, info):
            _redirect(exchange, location, info)
            return
        with ExitStack() as stack:
            try:
                _, chunks = stack.enter_context(
                    # the headers were checked against `info`, so the bytes must be of the same generation
                    store.read(grant.bucket, grant.key, [part or WHOLE], if_match=info.etag)
                )
            except PreconditionFailedError:
                if attempt == _ATTEMPTS:
                    raise
                continue
            # before the headers: an error of the first block can still become a response
            first = next(chunks, None)
            exchange.begin(206 if part else 200, object_headers(info, part))
            while first is not None:
                exchange.write(first.data)
                exchange.confirm_caller()
                first = next(chunks, None)
            return


def _head(exchange: Exchange, store: AuthorizedStore, grant: Grant) -> None:
    info = store.head(grant.bucket, grant.key)
    check_read(exchange.headers, info)
    if location := _redirect_location(exchange, store, grant, info):
        _redirect(exchange, location, info)
        return
    exchange.begin(200, object_headers(info))


def _redirect_location(exchange: Exchange, store: AuthorizedStore, grant: Grant, info: ObjectInfo) -> str | None:
    """Return a URL of the engine's medium for the object, if its response would lack nothing that this server sends."""
    if info.metadata or is_active(info.content_type) or not names_no_etag(exchange.headers):
        return None
    seconds = max(1, grant.expires_at - time.time())
    return store.presigned_location(grant.bucket, grant.key, exchange.method, seconds)


def _redirect(exchange: Exchange, location: str, info: ObjectInfo) -> None:
    exchange.begin(307, {**identity_headers(info), "Location": location, "Content-Length": "0"})


def _put(exchange: Exchange, store: AuthorizedStore, grant: Grant) -> None:
    condition = change_condition(exchange.headers)
    attributes = ObjectAttributes(content_type=_content_type(exchange, grant))
    most = MAX_OBJECT_SIZE if grant.max_size is None else grant.max_size
    declared = exchange.declared_size
    _check_size(declared or 0, most)
    sums = BlockSums()
    with store.begin_write(
        grant.bucket, grant.key, attributes=attributes, condition=condition, declared_size=declared or None
    ) as upload:
        for block in exchange.blocks(most):
            _check_size(exchange.size, most)
            checksum = crc32c(block)
            upload.write(Chunk(sums.size, block, checksum))
            sums.add(block, checksum)
        # looked up as late as possible; it only chooses between 200 and 201
        is_new = _is_free(store, grant)
        info = upload.commit(size=sums.size, crc32c=sums.whole())
    exchange.begin(201 if is_new else 200, {**identity_headers(info), "Content-Length": "0"})


def _delete(exchange: Exchange, store: AuthorizedStore, grant: Grant) -> None:
    condition = change_condition(exchange.headers)
    if condition.if_absent:
        raise Refusal(400, "InvalidParameter", "If-None-Match means nothing here; use If-Match")
    store.delete(grant.bucket, grant.key, condition=condition)
    exchange.begin(204, {})


def _content_type(exchange: Exchange, grant: Grant) -> str:
    if exchange.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Refusal(
            415, "UnsupportedMediaType", "objects have no Content-Encoding; send the bytes as they are, without it"
        )
    sent = exchange.headers.get("Content-Type", "").strip()
    if grant.content_type is not None and sent != grant.content_type:
        raise Refusal(
            415,
            "UnsupportedMediaType",
            f"the URL is for an object of type {grant.content_type!r}; send this as the Content-Type",
        )
    return sent


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise Refusal(413, "TooLarge", f"the URL is for at most {most} bytes and nothing was stored; send fewer")


def _is_free(store: AuthorizedStore, grant: Grant) -> bool:
    """Return whether there is no object yet; the permission to write includes knowing that."""
    try:
        with store.authorized("write", grant.bucket, grant.key) as target:
            target.head(grant.bucket, grant.key)
    except NotFoundError:
        return True
    return False
