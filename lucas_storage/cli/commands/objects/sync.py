"""`sync`: makes a destination like its source, by copying changed files and objects."""

from __future__ import annotations

import time
from pathlib import Path

import click

from actorc.storage.errors import InvalidParameterError
from actorc.storage.units import shown_size
from lucas_storage.cli.completion.parameters import PLACES
from lucas_storage.cli.local_paths import LocalPath
from lucas_storage.cli.options import dry_run_option, jobs_option, quiet_option
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session, writing
from lucas_storage.cli.transfers.name_filter import FilteredCommand, NameFilter, filter_options
from lucas_storage.cli.transfers.queue import TransferQueue
from lucas_storage.cli.transfers.sync_plan import Side, SyncPlan, side
from lucas_storage.cli.transfers.sync_sides import Bucket, Entry

from .rm import Removal


@click.command(cls=FilteredCommand)
@click.argument("source", shell_complete=PLACES)
@click.argument("destination", shell_complete=PLACES)
@click.option("--delete", is_flag=True, help="Remove what the source does not have; nothing, if anything failed.")
@click.option("--checksum", is_flag=True, help="Compare files by their content, not by the time of the last change.")
@click.option(
    "--max-delete", metavar="N", type=click.IntRange(min=0), help="With --delete: remove nothing if it were more."
)
@click.option(
    "--metadata",
    "attributes",
    type=LocalPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep content types and metadata of objects in this file on the way to a directory, and take them from it on "
    "the way back.",
)
@filter_options
@jobs_option
@dry_run_option
@quiet_option
@writing
def sync(
    session: Session,
    source: str,
    destination: str,
    *,
    delete: bool,
    max_delete: int | None,
    checksum: bool,
    attributes: Path | None,
    chosen: NameFilter,
    jobs: int,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Copy what changed from a directory or place in a bucket to another one.

    Each is a directory, or written lucas://STORE/BUCKET[/PREFIX]; one of them at least is in a bucket. What is in the
    source gets the same name in the destination. A file is the same if size and time of the last change are, which
    objects keep as metadata; an object is the same as another one if size, checksum, type and metadata are.

    Two stores may be on different servers; LUCAS_STORAGE_ENDPOINTS names them. A directory .lucas-storage, where a
    server keeps its data, is left out.
    """
    since = time.monotonic()
    if max_delete is not None and not delete:
        raise click.UsageError("--max-delete goes with --delete; leave it out")
    here, there = side(session, source), side(session, destination)
    plan = SyncPlan(here, there, checksum=checksum, chosen=chosen, attributes=attributes, dry_run=dry_run)
    here.check_source()
    queue = TransferQueue(session, many=True, jobs=jobs, quiet=quiet, dry_run=dry_run)
    queue.run(plan.transfers())
    # Only after every copy succeeded: a failed one may be the reason why a name is missing.
    if delete and not queue.summary.failed:
        _check_surplus(plan.surplus, there, max_delete)
        if plan.surplus and not (quiet or dry_run or session.as_json):
            queue.summary.say(f"lucas-storage: {_removals(plan.surplus)} in {there}, which {here} does not have")
        _remove(session, queue, there, [entry.name for entry in plan.surplus], dry_run=dry_run)
    elif delete and plan.surplus:
        queue.summary.say("lucas-storage: nothing was removed, because something failed")
    if plan.losing and not quiet:
        queue.summary.say(_losses(plan.losing))
    queue.tell("copied", since)
    queue.close()


def _check_surplus(surplus: list[Entry], there: Side, most: int | None) -> None:
    if most is not None and len(surplus) > most:
        raise InvalidParameterError(
            f"{len(surplus)} names in {there} would be removed, which is more than --max-delete {most}; nothing was"
        )


def _removals(surplus: list[Entry]) -> str:
    size = shown_size(sum(entry.size for entry in surplus))
    return f"removing {len(surplus)} {'name' if len(surplus) == 1 else 'names'}, {size},"


def _losses(losing: list[str]) -> str:
    several = len(losing) > 1
    what = f"{len(losing)} objects have" if several else "an object has"
    return (
        f"lucas-storage: {what} a content type, metadata or a lifetime that no file keeps, "
        f"{'such as ' if several else ''}{losing[0]}; repeat with --metadata FILE to keep them for the way back"
    )


def _remove(session: Session, queue: TransferQueue, there: Side, names: list[str], *, dry_run: bool) -> None:
    if isinstance(there, Bucket):
        removal = Removal(session, queue.summary, dry_run=dry_run)
        for name in names:
            removal.add(there.place(name))
        removal.flush()
        return
    for name in names:
        path = there.path / name
        record = {"action": "delete", "file_path": str(path)}
        if dry_run:
            session.emit({**record, "dry_run": True}, printable(f"delete {path}"))
            continue
        with queue.summary.trying(str(path), record):
            there.remove(name)
            queue.summary.count("removed")
            session.emit({**record, "removed": True}, None)
