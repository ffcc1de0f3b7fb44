"""`serve`: a storage server in the foreground."""

from __future__ import annotations

import logging
from pathlib import Path

import click


@click.command()
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Directory of the embedded engine.")
@click.option("--engine", default="", metavar="URL", help="Another engine, such as memory://.")
@click.option("--listen", default="127.0.0.1:9000", metavar="HOST:PORT", show_default=True, help="Port 0 finds one.")
@click.option("--auto-create-buckets", is_flag=True, help="A write to a bucket that does not exist makes it.")
@click.option(
    "--endpoint-file", type=click.Path(path_type=Path), metavar="FILE", help="Write the address here, as JSON."
)
@click.option(
    "--linger-lock",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Stop when no process holds a shared flock on this file.",
)
def serve(
    data: Path | None,
    engine: str,
    listen: str,
    *,
    auto_create_buckets: bool,
    endpoint_file: Path | None,
    linger_lock: Path | None,
) -> None:
    """Run a storage server until it is told to stop.

    It listens on loopback only. On the first Ctrl-C or SIGTERM running calls get time to finish, a second one ends it.
    """
    from actorc.storage import server  # noqa: PLC0415  # loads gRPC

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    options = server.ServerOptions(data=data, engine=engine, listen=listen, auto_create_buckets=auto_create_buckets)
    server.serve(options, endpoint_file=endpoint_file, linger_lock=linger_lock)
