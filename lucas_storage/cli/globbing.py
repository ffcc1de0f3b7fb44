"""Globbing: the objects that a target stands for, which are one object, the matches of a pattern, or a whole prefix.

``*``, ``?`` and ``[…]`` match within one segment of a key, ``**`` any number of segments. A pattern is followed segment
by segment, so that keys below other prefixes are not even listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from actorc.storage.errors import InvalidParameterError, NotFoundError, ObjectNotFoundError

from .name_patterns import ANY_DEPTH, matched_lengths
from .uris import Target, has_wildcards

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ObjectHead

_ESCAPED: Final = re.compile(r"\[([*?[])\]")
_FIXED_START: Final = re.compile(r"[^*?[]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object, and the name under which it is copied into a folder."""

    head: ObjectHead
    own: str
    """Name of the requested object, or of the requested folder it is in; of a match, all segments from the first
    wildcard on."""
    rest: str | None = None
    """The key below that folder; None for an object that was requested itself."""


def is_pattern(client: StorageClient, target: Target) -> bool:
    """Return whether the target has wildcards, and no object has exactly this key."""
    return bool(target.pattern) and not client.object_exists(target.bucket, target.key)


def is_deep(target: Target) -> bool:
    """Return whether the target has wildcards that match at any depth."""
    return ANY_DEPTH in target.pattern.split("/")


def own_name(target: Target) -> str:
    """Return the name under which all objects below a target are copied into a folder."""
    return _last(target.key.rstrip("/")) or target.bucket


def fixed_part(target: Target) -> str:
    """Return the prefix of all keys that the pattern of a target matches; empty, or with a slash at the end."""
    return _fixed_and_wild(target.pattern)[0]


def find(client: StorageClient, target: Target, *, pattern: bool, recursive: bool) -> Iterator[FoundObject]:
    """Iterate over the objects that a target stands for, in byte order of their keys.

    Args:
        client: Client of their store.
        target: A key, a prefix or a pattern.
        pattern: Whether to expand its wildcards.
        recursive: Whether to include all objects below the names.

    Raises:
        ObjectNotFoundError: There is none.
    """
    if pattern:
        some = _matched(client, target, recursive=recursive)
    elif recursive:
        some = _beneath(client, target)
    else:
        some = iter([FoundObject(head=_head(client, target), own=_last(target.key))])
    nothing = True
    for each in some:
        nothing = False
        yield each
    if nothing:
        raise ObjectNotFoundError("no key is like this; 'lucas-storage ls' shows more", target.bucket, target.key)


def matches(
    client: StorageClient, bucket: str, prefix: str, segments: Sequence[str], *, folders: bool
) -> Iterator[ObjectHead | str]:
    """Yield the objects whose keys match after `prefix`, and with `folders` the common prefixes that do."""
    first, rest = segments[0], segments[1:]
    if first == ANY_DEPTH:
        yield from _at_any_depth(client, bucket, prefix, segments, folders=folders)
        return
    # A segment without wildcards needs no listing: it is part of the prefix.
    if rest and (plain := _plain(first)) is not None:
        yield from matches(client, bucket, f"{prefix}{plain}/", rest, folders=folders)
        return
    for entry in level(client, bucket, prefix + _start(first)):
        is_folder = isinstance(entry, str)
        name = entry[len(prefix) : -1] if isinstance(entry, str) else entry["key"][len(prefix) :]
        if not fnmatchcase(name, first):
            continue
        if rest and is_folder:
            yield from matches(client, bucket, f"{prefix}{name}/", rest, folders=folders)
        elif not rest and (folders or not is_folder):
            yield entry


def entries(client: StorageClient, target: Target) -> Iterator[ObjectHead | str]:
    """Yield the objects and common prefixes that the pattern of a target matches."""
    prefix, segments = _fixed_and_wild(target.pattern)
    return matches(client, target.bucket, prefix, segments, folders=True)


def level(client: StorageClient, bucket: str, prefix: str, *, details: bool = True) -> Iterator[ObjectHead | str]:
    """Yield objects and rolled-up prefixes in the order of their names, page by page."""
    token: str | None = ""
    while token is not None:
        # Pages follow the order of all names, objects and prefixes together, so sorting each page sorts the whole.
        page = client.list_objects(bucket, prefix, delimiter="/", page_token=token or None, details=details)
        some: list[ObjectHead | str] = [*page["objects"], *page["common_prefixes"]]
        yield from sorted(some, key=lambda entry: entry if isinstance(entry, str) else entry["key"])
        token = page["next_page_token"]


def _matched(client: StorageClient, target: Target, *, recursive: bool) -> Iterator[FoundObject]:
    prefix, segments = _fixed_and_wild(target.pattern.rstrip("/") if recursive else target.pattern)
    for entry in matches(client, target.bucket, prefix, segments, folders=recursive):
        if isinstance(entry, str):
            own = entry[len(prefix) : -1]
            for head in client.iter_objects(target.bucket, entry):
                yield FoundObject(head=head, own=own, rest=head["key"][len(entry) :])
        else:
            yield FoundObject(head=entry, own=entry["key"][len(prefix) :])


def _beneath(client: StorageClient, target: Target) -> Iterator[FoundObject]:
    name, own = target.key.rstrip("/"), own_name(target)
    # A key may be an object and a prefix of others at the same time; `-r` means both.
    if target.key and not target.key.endswith("/") and client.object_exists(target.bucket, target.key):
        yield FoundObject(head=client.head_object(target.bucket, target.key), own=own)
    folder = f"{name}/" if name else ""
    for head in client.iter_objects(target.bucket, folder):
        yield FoundObject(head=head, own=own, rest=head["key"][len(folder) :])


def _head(client: StorageClient, target: Target) -> ObjectHead:
    if not target.key:
        raise InvalidParameterError(
            "a bucket alone names no object; add a slash and its key, or -r for all that is in it", target.bucket
        )
    try:
        return client.head_object(target.bucket, target.key)
    except NotFoundError as error:
        folder = target.key.rstrip("/") + "/"
        # One more call, in the error case only: the user probably meant a folder.
        if not client.list_objects(target.bucket, folder, 1)["objects"]:
            raise
        raise ObjectNotFoundError(
            "this is no object, but others are beneath it; add -r to mean them all", target.bucket, target.key
        ) from error


def _at_any_depth(
    client: StorageClient, bucket: str, prefix: str, segments: Sequence[str], *, folders: bool
) -> Iterator[ObjectHead]:
    # One listing of everything below: with `**` every level may match, and a listing for each would be more calls.
    for head in client.iter_objects(bucket, prefix):
        names = head["key"][len(prefix) :].split("/")
        shortest = 1 if folders else len(names)
        if any(length >= shortest for length in matched_lengths(names, segments)):
            yield head


def _fixed_and_wild(pattern: str) -> tuple[str, list[str]]:
    """Return the prefix before the first segment with a wildcard, and the segments from there on."""
    segments, fixed = pattern.split("/"), ""
    while len(segments) > 1 and (plain := _plain(segments[0])) is not None:
        fixed += f"{plain}/"
        del segments[0]
    return fixed, segments


def _plain(segment: str) -> str | None:
    """Return a segment without wildcards with its escapes removed; None for one with wildcards."""
    return None if has_wildcards(_ESCAPED.sub("", segment)) else _ESCAPED.sub(r"\1", segment)


def _start(segment: str) -> str:
    start = _FIXED_START.match(segment)
    return start[0] if start else ""


def _last(key: str) -> str:
    return key.rpartition("/")[2]
