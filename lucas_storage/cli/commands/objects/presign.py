"""`presign`: makes a URL that needs no keys."""

from __future__ import annotations

from typing import Final

import click

from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.quantities import DURATION, SIZE
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.uris import Target, key

_LONGEST: Final = 7 * 24 * 3600
"""Seconds that a signature may hold, as with S3."""


@click.command()
@click.argument("target", metavar="BUCKET/KEY", type=key, shell_complete=OBJECTS)
@click.option(
    "--method",
    type=click.Choice(["GET", "HEAD", "PUT", "DELETE"], case_sensitive=False),
    default="GET",
    show_default=True,
    help="What may be done.",
)
@click.option("--expires", type=DURATION, default="1h", metavar="TIME", show_default=True, help="At most 7d.")
@click.option("--max-size", type=SIZE, metavar="SIZE", help="With PUT: bytes that may be sent, such as 10MiB.")
@click.option("--content-type", metavar="TYPE", help="With PUT: the Content-Type that must be sent.")
@reading
def presign(
    session: Session, target: Target, *, method: str, expires: float, max_size: int | None, content_type: str | None
) -> None:
    """Print a URL that lets its holder do one thing to one object for a while, without keys.

    With keys and STORAGE_HTTP_ENDPOINT it is made here, and no server is needed; else the server makes it. One that is
    started for a directory (--data, .lucas-storage) then runs until the URL has expired.
    """
    if method.upper() != "PUT" and (max_size is not None or content_type):
        raise click.UsageError(
            "--max-size and --content-type are about what is put; leave them out, or add --method PUT"
        )
    if expires > _LONGEST:
        raise click.UsageError("--expires is at most 7d; give a shorter time")
    url = session.client(target.store).presign_url(
        target.bucket, target.key, method.upper(), int(expires), max_size=max_size, content_type=content_type
    )
    record = {"bucket": target.bucket, "key": target.key, "method": method.upper(), "expires": int(expires), "url": url}
    session.emit(record, url)
