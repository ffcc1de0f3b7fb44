"""`fsck`: verifies a data directory, and repairs or rebuilds its index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actorc.storage.errors import IntegrityError, InvalidParameterError
from lucas_storage.cli.local_paths import LocalPath
from lucas_storage.cli.output.exit_codes import FAILED
from lucas_storage.cli.printing import print_record, printable
from lucas_storage.local_service.service import DEFAULT_DATA

if TYPE_CHECKING:
    from actorc.storage.server.engines.local import Finding

_HARMLESS = {"leftover", "dropped", "quarantined", "restored", "salvaged", "superseded", "expired"}


@click.command()
@click.argument(
    "directory",
    metavar="[DIR]",
    type=LocalPath(exists=True, file_okay=False, path_type=Path),
    default=DEFAULT_DATA,
)
@click.option("--adopt", "action", flag_value="adopt", help="Give back objects whose files the index does not know.")
@click.option("--accept", "action", flag_value="accept", help="Put such files into quarantine, however many there are.")
@click.option(
    "--empty-quarantine", "action", flag_value="empty", help="Remove what is in quarantine for good, however young."
)
@click.option(
    "--rebuild", "action", flag_value="rebuild", help="Tell what a new index would have, made from all that is there."
)
@click.option("--yes", is_flag=True, help="With --rebuild: put the new index in place; the old one is kept aside.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def fsck(directory: Path, *, action: str | None, yes: bool, as_json: bool) -> None:
    """Verify every byte of a data directory that no server uses.

    Prints what is damaged or contradicts itself, which makes the exit code 1, what a crash left of an unfinished change
    at the end of the index's log, and leftovers, which only waste space: a server removes them in time. Files that the
    index does not know are kept in quarantine for some days. Without an option nothing but uploads that were never
    finished is removed, files that are needed come back from there, and bytes of a bucket that were counted wrong are
    corrected.

    --adopt never replaces an object that is whole: a later one goes beside it, under a key that ends in .adopted and a
    number. Objects that were deleted shortly before may come back.
    """
    # A rebuild writes FORMAT anew, so that a directory that lost it can be rebuilt.
    marks = ("FORMAT", "blobs", "meta") if action == "rebuild" else ("FORMAT",)
    if not any((directory / name).exists() for name in marks):
        raise InvalidParameterError(f"{directory} is no data directory; name the one that 'serve --data' was given")
    if yes and action != "rebuild":
        raise InvalidParameterError("--yes goes with --rebuild; leave it out")
    findings, summary = _rebuild(directory, commit=yes) if action == "rebuild" else _opened(directory, action)
    for finding in findings:
        line = f"{finding.kind:<12}  {printable(finding.subject)}  {printable(finding.detail)}"
        if as_json:
            print_record(asdict(finding))
        else:
            click.echo(line)
    failed = any(finding.kind not in _HARMLESS for finding in findings)
    if as_json and action in {"accept", "empty"}:
        print_record({"kind": action, "detail": summary})
    elif not as_json and (summary or not failed):
        click.echo(summary or "nothing is damaged")
    if failed:
        raise click.exceptions.Exit(FAILED)


def _opened(directory: Path, action: str | None) -> tuple[Sequence[Finding], str]:
    from actorc.storage.server.engines.local import LocalEngine  # noqa: PLC0415  # loads gRPC

    if action is None:
        return _checked(directory), ""
    # Opened for repair, except to remove for good: an index that a server would refuse must not decide about that.
    with closing(LocalEngine(directory, sweep_interval=None, repairing=action != "empty")) as engine:
        if action == "adopt":
            return _counted(engine.maintenance.adopt(), "nothing to give back")
        if action == "accept":
            return (), f"{engine.maintenance.accept()} files put into quarantine"
        return (), f"{engine.maintenance.empty_quarantine()} files removed from quarantine"


def _checked(directory: Path) -> Sequence[Finding]:
    from actorc.storage.server.engines.local import Finding, LocalEngine, inspect  # noqa: PLC0415  # as above

    try:
        with closing(LocalEngine(directory, sweep_interval=None)) as engine:
            return engine.maintenance.fsck()
    except IntegrityError as error:
        # A damaged index is refused. Its own findings are printed if they explain it, else it is opened for repair.
        if found := inspect(directory):
            return found
        refusal = Finding("damaged", "meta.db", error.message)
    with closing(LocalEngine(directory, sweep_interval=None, repairing=True)) as engine:
        return [refusal, *engine.maintenance.fsck()]


def _rebuild(directory: Path, *, commit: bool) -> tuple[Sequence[Finding], str]:
    from actorc.storage.server.engines.local import Rebuild  # noqa: PLC0415  # as above

    with closing(Rebuild(directory)) as rebuild:
        findings, summary = _counted(rebuild.run(commit=commit), "nothing to rebuild from")
    next_step = "the new index is in place" if commit else "nothing was changed; add --yes to put this index in place"
    return findings, f"{summary}; {next_step}"


def _counted(findings: Sequence[Finding], nothing: str) -> tuple[Sequence[Finding], str]:
    kinds = Counter(finding.kind for finding in findings)
    return findings, ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or nothing
