"""`mv`: copies, and then removes the sources."""

from __future__ import annotations

import time

import click

from lucas_storage.cli.completion.parameters import PLACES
from lucas_storage.cli.options import dry_run_option, interactive_option, jobs_option, no_clobber_option, quiet_option
from lucas_storage.cli.session import Session, writing
from lucas_storage.cli.transfers.copy_plan import CopyPlan
from lucas_storage.cli.transfers.destinations import Options
from lucas_storage.cli.transfers.name_filter import FilteredCommand, NameFilter, filter_options


@click.command(cls=FilteredCommand)
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True, shell_complete=PLACES)
@click.argument("destination", shell_complete=PLACES)
@click.option("-r", "--recursive", is_flag=True, help="Move directories, and whatever lies beneath a key.")
@no_clobber_option
@interactive_option
@filter_options
@jobs_option
@dry_run_option
@quiet_option
@writing
def mv(
    session: Session,
    sources: tuple[str, ...],
    destination: str,
    *,
    recursive: bool,
    no_clobber: bool,
    interactive: bool,
    chosen: NameFilter,
    jobs: int,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Move or rename objects, and move files to objects or objects to files.

    The arguments are those of 'cp'. An object is moved inside its server, with its type and metadata. Each source is
    removed when its copy is complete, and only if it is then still what was copied; a move that was killed is finished
    by the same command, or leaves both.

    \b
    Examples
      lucas-storage mv lucas://default/photos/cat.png lucas://default/photos/tom.png
      lucas-storage mv -r lucas://default/photos/2025 lucas://default/archive/
      lucas-storage mv report.pdf lucas://default/papers/
    """  # noqa: D301  # click takes the character for the end of wrapping
    since = time.monotonic()
    options = Options(recursive=recursive, no_clobber=no_clobber, chosen=chosen, removing=True)
    plan = CopyPlan(session, sources, destination, options)
    queue = plan.queue(jobs=jobs, quiet=quiet, dry_run=dry_run, asking=interactive)
    queue.run(plan.transfers())
    if not dry_run:
        plan.remove_empty_folders()
    queue.tell("moved", since)
    queue.close()
