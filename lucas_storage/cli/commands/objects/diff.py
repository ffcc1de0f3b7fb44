"""`diff`: compares two objects or files, or what is below two prefixes or directories."""

from __future__ import annotations

import click

from lucas_storage.cli.completion.parameters import PLACES
from lucas_storage.cli.output.exit_codes import DIFFERENT, failing_with_2
from lucas_storage.cli.printing import printable_lines
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.transfers.differences import differences
from lucas_storage.cli.transfers.name_filter import FilteredCommand, NameFilter, filter_options


@click.command(cls=FilteredCommand)
@click.argument("source", shell_complete=PLACES)
@click.argument("destination", shell_complete=PLACES)
@click.option(
    "--by",
    type=click.Choice(["content", "size", "etag", "metadata"]),
    default="content",
    show_default=True,
    help="What must be equal; 'metadata' means content, type and metadata. Etags are equal for one write only.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code tells.")
@filter_options
@reading
def diff(session: Session, source: str, destination: str, *, by: str, quiet: bool, chosen: NameFilter) -> None:
    """Tell where two objects, files, prefixes or directories differ.

    An object or a prefix is written lucas://STORE/BUCKET[/KEY]; everything else is a file or a directory. Of two texts
    the lines that differ are printed. Content is compared by its checksum, so objects are not fetched for it.

    The exit code is 0 if nothing differs and 1 if something does; what failed otherwise with 1 is 2.

    \b
    Examples
      lucas-storage diff results lucas://default/papers/results
      lucas-storage diff lucas://default/papers/v1.txt lucas://default/papers/v2.txt
    """  # noqa: D301  # click takes the character for the end of wrapping
    found = False
    with failing_with_2():
        for each in differences(session, source, destination, by, chosen):
            found = True
            if quiet:
                break
            session.emit(each.record, None if session.as_json else printable_lines(str(each)))
    if found:
        raise click.exceptions.Exit(DIFFERENT)
