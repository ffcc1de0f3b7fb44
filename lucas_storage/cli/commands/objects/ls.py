"""`ls`: lists buckets and objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import click

from actorc.storage.errors import ObjectNotFoundError
from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.options import human_option
from lucas_storage.cli.printing import printable, shown_time, size_column, wrapped
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.uris import Target, prefix

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ObjectHead

_BELOW: Final = 4
"""Indent of a name that has a line of its own."""


@click.command()
@click.argument("target", metavar="[BUCKET[/PREFIX]]", type=prefix, required=False, shell_complete=OBJECTS)
@click.option("-l", "--long", is_flag=True, help="Also size in bytes, time of the last change (UTC) and content type.")
@click.option("-r", "--recursive", is_flag=True, help="List every object, not only up to the next slash.")
@human_option
@reading
def ls(session: Session, target: Target | None, *, long: bool, recursive: bool, readable: bool) -> None:
    """List buckets, or the objects of one whose keys begin with a prefix.

    Keys that go on behind the next slash are listed once, up to that slash. What is printed can be given to the next
    command as it is. A prefix with wildcards, which want quotes, lists the keys that match it as a whole: * and ? and
    [abc] within a segment, ** across any number of them.
    """
    if target is None:
        _list_buckets(session, long=long)
        return
    # Printed as they come: a bucket may have millions of keys.
    found = False
    details = long or session.as_json
    for entry in _entries(session.client(target.store), target, recursive=recursive, details=details):
        found = True
        if isinstance(entry, str):
            record, head, place = {"bucket": target.bucket, "prefix": entry}, None, target.at(entry)
        else:
            record, head, place = cast("dict[str, Any]", entry), entry, target.at(entry["key"])
        session.emit({**record, "uri": str(place)}, _line(place, head, long=long, readable=readable))
    if target.key and not found:
        raise ObjectNotFoundError("no key begins like this; 'lucas-storage ls' shows more", target.bucket, target.key)


def _list_buckets(session: Session, *, long: bool) -> None:
    for each in session.client().list_buckets():
        place = str(Target(bucket=each["name"]))
        created = f"{shown_time(each['created_at'])}  " if long else ""
        session.emit({**each, "uri": place}, created + place)


def _entries(client: StorageClient, target: Target, *, recursive: bool, details: bool) -> Iterator[ObjectHead | str]:
    """Yield objects and rolled-up prefixes in the order of their names."""
    from lucas_storage.cli import globbing  # noqa: PLC0415  # a list of buckets need not load it

    if globbing.is_pattern(client, target):
        if recursive:
            return (each.head for each in globbing.find(client, target, pattern=True, recursive=True))
        return globbing.entries(client, target)
    if recursive:
        return client.iter_objects(target.bucket, target.key, details=details)
    return globbing.level(client, target.bucket, target.key, details=details)


def _line(target: Target, entry: ObjectHead | None, *, long: bool, readable: bool) -> str:
    if not long:
        return str(target)
    columns = [f"{'-':>12}", f"{'-':<19}", "-"]
    if entry is not None:
        size, moment = size_column(entry["size"], readable=readable), shown_time(entry["last_modified"])
        columns = [size, moment, printable(entry["content_type"])]
    # The name stays one word, which can be copied, on a line of its own where the terminal is too narrow for all.
    return wrapped("  ".join([*columns[:2], f"{columns[2]:<16}", str(target)]), _BELOW)
