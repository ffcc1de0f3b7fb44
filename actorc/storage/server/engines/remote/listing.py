"""One page of a listing: the store's own listing, from where the page begins, until the page is full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from actorc.storage.models import ListQuery
from actorc.storage.server.engines.listing import Span

from .key_layout import Names, before
from .object_store import Backend

_STRIDE: Final = 1000
"""Keys below one common prefix that are passed by, before the store is asked for those behind it: a page of its own."""


class Listed(NamedTuple):
    """A key, or what keys were rolled up into."""

    name: str
    is_prefix: bool


def listed(backend: Backend, names: Names, query: ListQuery) -> Iterator[Listed]:
    """Yield what a query is about, in order, lazily; it is not limited."""
    folder = names.folder(query.bucket, query.within or query.prefix)
    span = Span.of(query)
    behind = _beginning(names, query, span)
    rolled: bytes | None = None
    while folder is not None and span.lower < span.upper:
        passed = 0
        for name in backend.names(folder, behind):
            key = names.key(query.bucket, name.name)
            at = key.encode()
            if at < span.lower:
                continue
            if at >= span.upper:
                return
            if rolled is not None and at.startswith(rolled):
                passed += 1
                if passed == _STRIDE:
                    break
                continue
            rolled, passed = span.common_prefix(at), 0
            yield Listed(key if rolled is None else rolled.decode(), rolled is not None)
        else:
            return
        assert rolled is not None
        behind = names.behind(query.bucket, rolled.decode(), everything=True)


def _beginning(names: Names, query: ListQuery, span: Span) -> str | None:
    begin = query.within or query.prefix
    if not query.after or query.after.encode() < begin.encode():
        return names.behind(query.bucket, before(begin))
    rolled = span.common_prefix(query.after.encode())
    if rolled is None:
        return names.behind(query.bucket, query.after)
    return names.behind(query.bucket, rolled.decode(), everything=True)
