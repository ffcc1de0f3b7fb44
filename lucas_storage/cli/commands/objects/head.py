"""`head`: writes the beginning of objects to standard output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from lucas_storage.cli import globbing
from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.globbing import FoundObject
from lucas_storage.cli.output.summary import Summary
from lucas_storage.cli.quantities import SIZE
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.transfers.streaming import emit, write_out
from lucas_storage.cli.uris import Target, key

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient

_FIRST: Final = 64 << 10
"""Bytes that are asked for first, when lines are wanted; twice as many each time they are not enough."""
_MOST: Final = 8 << 20
"""Bytes that are asked for at most at once, since they are held in memory: a line may have gigabytes."""
_LINES: Final = 10


@click.command()
@click.argument("targets", metavar="BUCKET/KEY…", type=key, nargs=-1, required=True, shell_complete=OBJECTS)
@click.option("-n", "--lines", type=click.IntRange(min=0), help=f"Lines wanted of each; {_LINES} if nothing is said.")
@click.option(
    "-c", "--bytes", "size", type=SIZE, metavar="SIZE", help="Bytes wanted of each instead, such as 100 or 1KiB."
)
@click.option("-q", "--quiet", is_flag=True, help="Of several, do not say which one begins.")
@reading
def head(session: Session, targets: tuple[Target, ...], *, lines: int | None, size: int | None, quiet: bool) -> None:
    """Write the beginning of objects to standard output.

    No more is fetched than about what is printed. Keys may have wildcards; quote them. With --json, each piece is a
    line, its bytes in base64.
    """
    if lines is not None and size is not None:
        raise click.UsageError("-n counts lines and -c bytes; give one of them")
    patterns = {target: globbing.is_pattern(session.client(target.store), target) for target in targets}
    many = len(targets) > 1 or any(patterns.values())
    summary = Summary(session, many=many)
    for target in targets:
        with summary.trying(str(target), {"bucket": target.bucket, "key": target.key}):
            client = session.client(target.store)
            for each in globbing.find(client, target, pattern=patterns[target], recursive=False):
                place = target.at(each.head["key"])
                if many and not quiet and not session.as_json:
                    _begin(place, first=not summary["written"])
                pieces = (
                    _lines(client, each, _LINES if lines is None else lines)
                    if size is None
                    else _bytes(client, each, size)
                )
                emit(session, place, pieces)
                summary.count("written")
    summary.close()


def _begin(place: Target, *, first: bool) -> None:
    write_out(iter([f"{'' if first else chr(10)}==> {place} <==\n".encode()]))


def _bytes(client: StorageClient, found: FoundObject, size: int) -> Iterator[bytes]:
    head = found.head
    # Of one generation: an object that is replaced meanwhile would else be shown as a mixture of both.
    return client.stream_object(head["bucket"], head["key"], length=size, generation=head["generation"])


def _lines(client: StorageClient, found: FoundObject, wanted: int) -> Iterator[bytes]:
    head, offset, length = found.head, 0, _FIRST
    while wanted and offset < head["size"]:
        piece = bytes(
            client.get_object(head["bucket"], head["key"], offset=offset, length=length, generation=head["generation"])
        )
        lines = piece.split(b"\n", min(wanted, len(piece)))
        if len(lines) > wanted:
            yield piece[: len(piece) - len(lines[-1])]
            return
        yield piece
        wanted -= len(lines) - 1
        offset, length = offset + len(piece), min(length * 2, _MOST)
