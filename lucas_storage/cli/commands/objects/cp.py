"""`cp`: copies files to objects, objects to files, and objects to objects."""

from __future__ import annotations

import time
from typing import Final

import click

from lucas_storage.cli.completion.parameters import PLACES
from lucas_storage.cli.options import dry_run_option, interactive_option, jobs_option, no_clobber_option, quiet_option
from lucas_storage.cli.session import Session, writing
from lucas_storage.cli.transfers.copy_plan import CopyPlan
from lucas_storage.cli.transfers.destinations import Options
from lucas_storage.cli.transfers.name_filter import FilteredCommand, NameFilter, filter_options
from lucas_storage.cli.transfers.queue import TransferQueue
from lucas_storage.cli.transfers.streaming import stream, write_out
from lucas_storage.cli.transfers.transfer import upload_input
from lucas_storage.cli.uris import SCHEME, is_target, key

STREAM: Final = "-"


@click.command(cls=FilteredCommand)
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True, shell_complete=PLACES)
@click.argument("destination", shell_complete=PLACES)
@click.option("-r", "--recursive", is_flag=True, help="Copy directories, and whatever lies beneath a key.")
@no_clobber_option
@interactive_option
@click.option("--content-type", help="MIME type of an upload; else guessed from the file's name.")
@filter_options
@jobs_option
@dry_run_option
@quiet_option
@writing
def cp(
    session: Session,
    sources: tuple[str, ...],
    destination: str,
    *,
    recursive: bool,
    no_clobber: bool,
    interactive: bool,
    content_type: str | None,
    chosen: NameFilter,
    jobs: int,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Copy files to objects, objects to files, or objects to objects.

    An object is written lucas://STORE/BUCKET/KEY, such as lucas://default/photos/cat.png. Quote wildcards in it, such
    as 'lucas://default/photos/**/*.png'; what they match keeps its path from the first of them on. A dash is standard
    input or output.

    One source becomes DESTINATION, or goes into it under its own name if that is a bucket, ends with a slash or, for
    a single file, is a directory. Several sources always go into it.

    A copy that was killed is continued by the same command: of files of 64 MiB or more, what is there is not sent
    again. Add --no-clobber to leave out files that are complete, or use 'sync'.
    """
    since = time.monotonic()
    options = Options(recursive=recursive, no_clobber=no_clobber, content_type=content_type, chosen=chosen)
    if STREAM in sources or (destination == STREAM and sources[0].startswith(SCHEME)):
        _copy_stream(session, sources, destination, options, dry_run=dry_run, quiet=quiet)
        return
    plan = CopyPlan(session, sources, destination, options)
    queue = plan.queue(jobs=jobs, quiet=quiet, dry_run=dry_run, asking=interactive)
    queue.run(plan.transfers())
    queue.tell("copied", since)
    queue.close()


def _copy_stream(
    session: Session, sources: tuple[str, ...], destination: str, options: Options, *, dry_run: bool, quiet: bool
) -> None:
    if len(sources) > 1 or options.recursive:
        raise click.UsageError("standard input and output are copied alone; name one source and one destination")
    queue = TransferQueue(session, many=False, jobs=1, quiet=quiet, dry_run=dry_run)
    if sources[0] == STREAM:
        if not is_target(destination):
            raise click.UsageError(f"standard input is copied to an object such as {SCHEME}default/my-bucket/data.csv")
        target = key(destination)
        client = session.client(target.store)
        queue.run([upload_input(client, target, content_type=options.content_type, no_clobber=options.no_clobber)])
        return
    if session.as_json or options.content_type:
        raise click.UsageError("standard output carries the content and nothing else; drop --json and --content-type")
    source = key(sources[0])
    if not dry_run:
        write_out(stream(session.client(source.store), source))
