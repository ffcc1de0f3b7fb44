"""`ls` and `du`: list objects, and add up their sizes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

import click

from actorc.storage.client import StorageClient
from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.models import ObjectHead
from actorc.storage.units import shown_size
from lucas_storage.cli.options import human_option
from lucas_storage.cli.session import Session, printable, reading
from lucas_storage.cli.uris import Target, prefix


@click.command()
@click.argument("target", metavar="[BUCKET[/PREFIX]]", type=prefix, required=False)
@click.option("-l", "--long", is_flag=True, help="Also size in bytes, time of the last change (UTC) and content type.")
@click.option("-r", "--recursive", is_flag=True, help="List every object, not only up to the next slash.")
@human_option
@reading
def ls(session: Session, target: Target | None, *, long: bool, recursive: bool, readable: bool) -> None:
    """List buckets, or the objects of one whose keys begin with a prefix.

    Keys that go on behind the next slash are listed once, up to that slash. A prefix with wildcards, which want quotes,
    lists the keys that match it as a whole: * and ? and [abc] within a segment, ** across any number of them.
    """
    if target is None:
        _list_buckets(session, long=long)
        return
    # Printed as they come: a bucket may have millions of keys.
    found = False
    for entry in _entries(session.client(target.store), target, recursive=recursive):
        found = True
        if isinstance(entry, str):
            session.emit({"bucket": target.bucket, "prefix": entry}, _line(entry, None, long=long, readable=readable))
        else:
            session.emit(entry, _line(entry["key"], entry, long=long, readable=readable))
    if target.key and not found:
        raise ObjectNotFoundError("no key begins like this; 'lucas-storage ls' shows more", target.bucket, target.key)


@click.command()
@click.argument("target", metavar="[BUCKET[/PREFIX]]", type=prefix, required=False)
@human_option
@reading
def du(session: Session, target: Target | None, *, readable: bool) -> None:
    """Add up the sizes of objects: of each bucket, or of each name in one up to the next slash.

    A line has bytes, number of objects and name; the last one has the total.
    """
    client = session.client(target.store) if target else session.client()
    objects = size = 0
    for name, count, total in _name_sums(client, target) if target else _bucket_sums(client):
        record = {"bucket": target.bucket, "name": name} if target else {"bucket": name}
        session.emit({**record, "objects": count, "size": total}, _sum_line(name, count, total, readable=readable))
        objects, size = objects + count, size + total
    if target and target.key and not objects:
        raise ObjectNotFoundError("no key begins like this; 'lucas-storage ls' shows more", target.bucket, target.key)
    place = {"bucket": target.bucket, "prefix": target.key} if target else {}
    sums = {"objects": objects, "size": size, "total": True}
    session.emit({**place, **sums}, _sum_line("total", objects, size, readable=readable))


def _list_buckets(session: Session, *, long: bool) -> None:
    for each in session.client().list_buckets():
        created = f"{_time(each['created_at'])}  " if long else ""
        session.emit(each, created + each["name"])


def _entries(client: StorageClient, target: Target, *, recursive: bool) -> Iterator[ObjectHead | str]:
    """Yield objects and rolled-up prefixes in the order of their names."""
    from lucas_storage.cli import globbing  # noqa: PLC0415  # a list of buckets need not load it

    if globbing.is_pattern(client, target):
        if recursive:
            return (each.head for each in globbing.find(client, target, pattern=True, recursive=True))
        return globbing.entries(client, target)
    if recursive:
        return client.iter_objects(target.bucket, target.key)
    return globbing.level(client, target.bucket, target.key)


def _bucket_sums(client: StorageClient) -> Iterator[tuple[str, int, int]]:
    for each in client.list_buckets():
        yield (each["name"], *_sums(client.iter_objects(each["name"])))


def _name_sums(client: StorageClient, target: Target) -> Iterator[tuple[str, int, int]]:
    """Yield the sums of objects with the same name up to the next slash after the prefix."""

    def name(head: ObjectHead) -> str:
        first, slash, _ = head["key"][len(target.key) :].partition("/")
        return target.key + first + slash

    # Keys come in byte order, so that those of one name follow each other, and no sums are held in memory.
    for each, heads in groupby(client.iter_objects(target.bucket, target.key), name):
        yield (each, *_sums(heads))


def _sums(heads: Iterator[ObjectHead]) -> tuple[int, int]:
    """Return number and bytes of objects."""
    count = size = 0
    for head in heads:
        count, size = count + 1, size + head["size"]
    return count, size


def _sum_line(name: str, count: int, size: int, *, readable: bool) -> str:
    objects = f"{count} object{'' if count == 1 else 's'}"
    return f"{_size(size, readable=readable)}  {objects:>14}  {printable(name)}"


def _line(name: str, entry: ObjectHead | None, *, long: bool, readable: bool) -> str:
    if not long:
        return printable(name)
    if entry is None:
        return f"{'-':>14}  {'-':<19}  {'-':<26}  {printable(name)}"
    kind = printable(entry["content_type"])
    return f"{_size(entry['size'], readable=readable)}  {_time(entry['last_modified'])}  {kind:<26}  {printable(name)}"


def _size(size: int, *, readable: bool) -> str:
    return f"{shown_size(size) if readable else size:>14}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
