"""`cat`: writes the content of objects to standard output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from lucas_storage.cli import globbing
from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.output.summary import Summary
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.transfers.streaming import emit, stream
from lucas_storage.cli.uris import Target, key

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient


@click.command()
@click.argument("targets", metavar="BUCKET/KEY…", type=key, nargs=-1, required=True, shell_complete=OBJECTS)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="First byte wanted of each.")
@click.option("--length", type=click.IntRange(min=0), help="Bytes wanted of each; else all that follow.")
@reading
def cat(session: Session, targets: tuple[Target, ...], *, offset: int, length: int | None) -> None:
    """Write objects, or a part of each, to standard output.

    Keys may have wildcards. Every piece is checked before it is written; the digest of a whole reference, after the
    last one. With --json, each piece is a line, its bytes in base64.
    """
    # Asked before the first byte is written, so that an unknown store or bucket is an error without output.
    patterns = {target: globbing.is_pattern(session.client(target.store), target) for target in targets}
    summary = Summary(session, many=len(targets) > 1 or any(patterns.values()))
    for target in targets:
        with summary.trying(str(target), {"bucket": target.bucket, "key": target.key}):
            _write(session, target, offset, length, pattern=patterns[target])
            summary.count("written")
    summary.close()


def _write(session: Session, target: Target, offset: int, length: int | None, *, pattern: bool) -> None:
    client = session.client(target.store)
    if not pattern:
        emit(session, target, _pieces(client, target, offset, length), offset)
        return
    for each in globbing.find(client, target, pattern=True, recursive=False):
        match = target.at(each.head["key"])
        emit(session, match, _pieces(client, match, offset, length), offset)


def _pieces(client: StorageClient, target: Target, offset: int, length: int | None) -> Iterator[bytes]:
    if offset == 0 and length is None:
        return stream(client, target)
    return client.stream_object(target.bucket, target.key, offset=offset, length=length)
