"""`cat` and `rm`: single objects."""

from __future__ import annotations

import sys

import click

from .content import stream
from .session import Session, reading
from .targets import Target, key


@click.command()
@click.argument("target", metavar="BUCKET/KEY", type=key)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="First byte wanted.")
@click.option("--length", type=click.IntRange(min=0), help="Bytes wanted; else all that follow.")
@reading
def cat(session: Session, target: Target, *, offset: int, length: int | None) -> None:
    """Write an object, or a part of it, to standard output.

    Every piece is checked before it is written; the digest of a whole reference, after the last one.
    """
    client = session.client(target.store)
    whole = offset == 0 and length is None
    part = client.stream_object(target.bucket, target.key, offset=offset, length=length)
    output = sys.stdout.buffer
    for piece in stream(client, target) if whole else part:
        output.write(piece)
    output.flush()


@click.command()
@click.argument("targets", metavar="BUCKET/KEY…", type=key, nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="Do not mind objects that do not exist.")
@reading
def rm(session: Session, targets: tuple[Target, ...], *, force: bool) -> None:
    """Remove objects, in this order, up to the first that does not exist."""
    for target in targets:
        client = session.client(target.store)
        if not force:
            client.head_object(target.bucket, target.key)
        client.delete_object(target.bucket, target.key)
        session.emit({"bucket": target.bucket, "key": target.key, "removed": True}, None)
