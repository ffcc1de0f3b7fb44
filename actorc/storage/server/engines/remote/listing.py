"""Listings from the store's own listing, lazily and in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from actorc.storage.models import ListQuery, ObjectInfo
from actorc.storage.server.engines.listing import Span

from .key_layout import KeyLayout, before
from .object_store import Backend, Name

_MAX_SKIPPED: Final = 1000
"""Keys with one common prefix that are skipped before the store is asked for those behind it: one page of the store."""


class Listed(NamedTuple):
    """A key, or a common prefix."""

    name: str
    found: Name | None
    """What the store says of the object; None: a common prefix."""

    def without_details(self, bucket: str) -> ObjectInfo | str:
        """Return the entry of the name, of what the store's own listing tells."""
        if self.found is None:
            return self.name
        return ObjectInfo.without_details(bucket, self.name, self.found.size, self.found.last_modified)


def listed(backend: Backend, names: KeyLayout, query: ListQuery) -> Iterator[Listed]:
    """Yield the keys and common prefixes of a query in order, lazily and without limit."""
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
                if passed == _MAX_SKIPPED:
                    # a few keys are skipped one by one; for many, a new request behind the prefix is cheaper
                    break
                continue
            rolled, passed = span.common_prefix(at), 0
            yield Listed(key, name) if rolled is None else Listed(rolled.decode(), None)
        else:
            return
        assert rolled is not None
        behind = names.behind(query.bucket, rolled.decode(), everything=True)


def _beginning(names: KeyLayout, query: ListQuery, span: Span) -> str | None:
    begin = query.within or query.prefix
    if not query.after or query.after.encode() < begin.encode():
        return names.behind(query.bucket, before(begin))
    rolled = span.common_prefix(query.after.encode())
    if rolled is None:
        return names.behind(query.bucket, query.after)
    return names.behind(query.bucket, rolled.decode(), everything=True)
