"""`du`: adds up the sizes of objects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import click

from actorc.storage.errors import ObjectNotFoundError
from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.options import human_option
from lucas_storage.cli.printing import size_column
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.uris import Target, prefix

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ObjectHead


@click.command()
@click.argument("target", metavar="[BUCKET[/PREFIX]]", type=prefix, required=False, shell_complete=OBJECTS)
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
        place = str(target.at(name) if target else Target(bucket=name))
        sums = {"objects": count, "size": total, "uri": place}
        session.emit({**record, **sums}, _sum_line(place, count, total, readable=readable))
        objects, size = objects + count, size + total
    if target and target.key and not objects:
        raise ObjectNotFoundError("no key begins like this; 'lucas-storage ls' shows more", target.bucket, target.key)
    whole = {"bucket": target.bucket, "prefix": target.key} if target else {}
    session.emit(
        {**whole, "objects": objects, "size": size, "total": True}, _sum_line("total", objects, size, readable=readable)
    )


def _bucket_sums(client: StorageClient) -> Iterator[tuple[str, int, int]]:
    for each in client.list_buckets():
        yield (each["name"], *_sums(client.iter_objects(each["name"], details=False)))


def _name_sums(client: StorageClient, target: Target) -> Iterator[tuple[str, int, int]]:
    """Yield the sums of objects with the same name up to the next slash after the prefix."""

    def name(head: ObjectHead) -> str:
        first, slash, _ = head["key"][len(target.key) :].partition("/")
        return target.key + first + slash

    # Keys come in byte order, so that those of one name follow each other, and no sums are held in memory.
    for each, heads in groupby(client.iter_objects(target.bucket, target.key, details=False), name):
        yield (each, *_sums(heads))


def _sums(heads: Iterator[ObjectHead]) -> tuple[int, int]:
    """Return number and bytes of objects."""
    count = size = 0
    for head in heads:
        count, size = count + 1, size + head["size"]
    return count, size


def _sum_line(name: str, count: int, size: int, *, readable: bool) -> str:
    objects = f"{count} object{'' if count == 1 else 's'}"
    return f"{size_column(size, readable=readable)}  {objects:>14}  {name}"
