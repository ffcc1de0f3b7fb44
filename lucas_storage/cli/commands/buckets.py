"""`mb` and `rb`: make and remove buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from actorc.storage.errors import AlreadyExistsError
from lucas_storage.cli.completion.parameters import BUCKETS
from lucas_storage.cli.options import quiet_option
from lucas_storage.cli.output.progress import counter, wanted
from lucas_storage.cli.output.summary import Summary
from lucas_storage.cli.session import Session, reading, writing
from lucas_storage.cli.uris import Target, bucket

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import BucketResult


@click.command()
@click.argument("targets", metavar="BUCKET…", type=bucket, nargs=-1, required=True)
@click.option("--exist-ok", is_flag=True, help="Do not mind buckets that exist.")
@writing
def mb(session: Session, targets: tuple[Target, ...], *, exist_ok: bool) -> None:
    """Make buckets."""
    summary = Summary(session, many=len(targets) > 1)
    for target in targets:
        with summary.trying(target.bucket, {"name": target.bucket}):
            session.emit(_make(session.client(target.store), target.bucket, exist_ok=exist_ok), None)
            summary.count("made")
    summary.close()


@click.command()
@click.argument("targets", metavar="BUCKET…", type=bucket, nargs=-1, required=True, shell_complete=BUCKETS)
@click.option("-f", "--force", is_flag=True, help="Remove all of their objects first, and uploads under way.")
@quiet_option
@reading
def rb(session: Session, targets: tuple[Target, ...], *, force: bool, quiet: bool) -> None:
    """Remove buckets, empty ones unless --force is given."""
    summary = Summary(session, many=len(targets) > 1)
    for target in targets:
        with summary.trying(target.bucket, {"name": target.bucket}):
            shown = force and wanted(session, quiet=quiet)
            with counter(f"{target.bucket}: objects removed", shown=shown) as moved:
                session.client(target.store).delete_bucket(target.bucket, force=force, progress=moved)
            session.emit({"name": target.bucket, "removed": True}, None)
            summary.count("removed")
    summary.close()


def _make(client: StorageClient, name: str, *, exist_ok: bool) -> BucketResult:
    try:
        return client.create_bucket(name, exist_ok=exist_ok)
    except AlreadyExistsError as error:
        raise AlreadyExistsError("the bucket exists; add --exist-ok if that is fine", name) from error
