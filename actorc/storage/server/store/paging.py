"""Pages of listings: only the keys that the caller may see, and no longer than a message.

A page is joined from the listings of the visible ranges of keys, so it continues behind the last name that it *shows*.
A name that is only looked at, to be left out or to find out whether there are more, never becomes the place where the
next page begins: callers can read that place in the token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from heapq import merge
from typing import Final, Protocol

from actorc.storage.models import BucketInfo, ListQuery, ObjectInfo, ObjectPage, UploadInfo, UploadPage
from actorc.storage.rules import MAX_PAGE_BYTES

Entry = ObjectInfo | UploadInfo | BucketInfo | str

_OVERHEAD: Final = 192
"""Bytes, at most, that an entry takes in a message beside its texts of any length."""
_OVERHEAD_OF_AN_ITEM: Final = 12
"""Bytes, at most, that an item of metadata takes beside its texts."""


class ListUploads(Protocol):
    """`Engine.list_uploads` of one bucket."""

    def __call__(self, *, prefix: str, after: tuple[str, str] | None, limit: int) -> UploadPage:
        """Return the first `limit` uploads behind `after` whose keys begin with `prefix`."""


def joined_page(list_names: Callable[[ListQuery], ObjectPage], query: ListQuery, ranges: Sequence[str]) -> ObjectPage:
    """Return the first `query.limit` names behind `query.after`, or as many as fit into a message.

    Args:
        list_names: `Engine.page`.
        query: The listing.
        ranges: Prefixes of the visible keys, in order, none of them a prefix of another.
    """
    shown: list[ObjectInfo | str] = []
    room, last = MAX_PAGE_BYTES, query.after
    for within in ranges:
        # with a full page, one name more tells whether there are more
        left = max(1, query.limit - len(shown))
        found = list_names(replace(query, within=within, after=last, limit=left))
        for entry in _in_order(found):
            room -= _size(entry)
            if len(shown) == query.limit or (shown and room < 0):
                return ObjectPage.of(shown, more=True)
            shown.append(entry)
            last = _name(entry)
        if found.next_after:
            return ObjectPage.of(shown, more=True)
    return ObjectPage.of(shown, more=False)


def joined_uploads(
    list_uploads: ListUploads, ranges: Sequence[str], *, after: tuple[str, str] | None, limit: int
) -> UploadPage:
    """Return the first `limit` uploads behind `after`, or as many as fit into a message.

    Args:
        list_uploads: Lists those of one bucket.
        ranges: Prefixes of the visible keys, in order, none of them a prefix of another.
        after: Key and id of the last upload that was shown.
        limit: Uploads at most.
    """
    found: list[UploadInfo] = []
    for prefix in ranges:
        if len(found) > limit:
            break
        page = list_uploads(prefix=prefix, after=after, limit=limit + 1 - len(found))
        found += page.uploads
    shown = found[: fitting(found, limit)]
    return UploadPage.of(shown, more=len(shown) < len(found))


def fitting(entries: Sequence[Entry], limit: int) -> int:
    """Return how many of the first `limit` entries fit into a message; at least one, if there are any."""
    room = MAX_PAGE_BYTES
    for count, entry in enumerate(entries[:limit]):
        room -= _size(entry)
        if count and room < 0:
            return count
    return min(len(entries), limit)


def _in_order(page: ObjectPage) -> Iterator[ObjectInfo | str]:
    if not page.common_prefixes:
        return iter(page.objects)
    return merge(page.objects, page.common_prefixes, key=lambda entry: _name(entry).encode())


def _name(entry: ObjectInfo | str) -> str:
    return entry if isinstance(entry, str) else entry.key


def _size(entry: Entry) -> int:
    """Return the bytes that an entry takes in a message, at most."""
    if isinstance(entry, str):
        return _OVERHEAD + len(entry.encode())
    if isinstance(entry, BucketInfo):
        return _OVERHEAD + len(entry.name)
    size = _OVERHEAD + len(entry.key.encode())
    if isinstance(entry, ObjectInfo):
        size += len(entry.content_type.encode()) + len(entry.etag)
        for name, value in entry.metadata.items():
            size += _OVERHEAD_OF_AN_ITEM + len(name.encode()) + len(value.encode())
    return size
