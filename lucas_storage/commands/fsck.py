"""`fsck`: whether everything in a data directory is as it should be."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from actorc.storage.errors import IntegrityError, InvalidParameterError
from lucas_storage.local_service import DEFAULT_DATA

from .exits import FAILED
from .output import print_record
from .session import printable

_HARMLESS = {"leftover", "dropped"}


@click.command()
@click.argument(
    "directory",
    metavar="[DIR]",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=DEFAULT_DATA,
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def fsck(directory: Path, *, as_json: bool) -> None:
    """Verify every byte of a data directory that no server uses.

    Prints what is damaged or contradicts itself, which makes the exit code 1, what a crash left of an unfinished change
    at the end of the index's log, and leftovers, which only waste space: a server removes them in time. Nothing but
    uploads that were never finished is removed.
    """
    from actorc.storage.server.engines.local import LocalEngine, inspect  # noqa: PLC0415  # loads gRPC

    if not (directory / "FORMAT").is_file():
        raise InvalidParameterError(f"{directory} is no data directory; name the one that 'serve --data' was given")
    try:
        with closing(LocalEngine(directory, sweep_interval=None)) as engine:
            findings = engine.fsck()
    except IntegrityError:
        findings = inspect(directory)
    for finding in findings:
        line = f"{finding.kind:<12}  {printable(finding.subject)}  {printable(finding.detail)}"
        if as_json:
            print_record(asdict(finding))
        else:
            click.echo(line)
    if any(finding.kind not in _HARMLESS for finding in findings):
        raise click.exceptions.Exit(FAILED)
    if not as_json:
        click.echo("nothing is damaged")
