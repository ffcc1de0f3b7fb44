"""`export` and `import`: a run with its records and artifacts as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actorc.storage.units import shown_size
from lucas_storage.bundles.contents import Contents
from lucas_storage.bundles.export import export as write_bundle
from lucas_storage.bundles.import_run import Imported, import_bundle
from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.completion.parameters import RUNS
from lucas_storage.cli.local_paths import LocalPath
from lucas_storage.cli.options import quiet_option
from lucas_storage.cli.output.progress import Bars, wanted
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session, reading, writing
from lucas_storage.records.run_history import UNENDED, find
from lucas_storage.replay.selection import step_of

_FILE = LocalPath(dir_okay=False, path_type=Path)


@click.command()
@click.argument("run", shell_complete=RUNS)
@click.argument("file", type=_FILE)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--step", metavar="STEP", help="Only this step with its artifacts; named as for 'replay'.")
@click.option("--incomplete", is_flag=True, help="Leave out artifacts that are gone.")
@quiet_option
@reading
def export(
    session: Session, run: str, file: Path, *, force: bool, step: str | None, incomplete: bool, quiet: bool
) -> None:
    """Write a run, its records and all its artifacts into one ZIP file.

    RUN is the beginning of a run's id, or 'last'. FILE appears when it is complete. It holds every byte that steps took
    and made, their parameters and their source, and no key: anybody can check the digests, and unpack it with 'unzip'.
    """
    with artifacts(session) as storage, Bars(shown=wanted(session, quiet=quiet), total=False) as bars:
        past = find(storage, run)
        only = None if step is None else step_of(past, step)
        with bars.transfer(file.name, None) as progress:
            contents = write_bundle(
                storage, past, file, replace=force, incomplete=incomplete, only=only, progress=progress
            )
    text = f"exported {past.key} to {printable(str(file))}, {_amount(contents)}"
    left_out = f", {len(contents.missing)} left out" if contents.missing else ""
    session.emit({**_record(contents), "file": str(file)}, None if quiet else text + left_out)
    if past.status == UNENDED and not session.as_json:
        click.echo(
            f"lucas-storage: the run {past.key} has not ended, and the bundle holds it as it was; export it again when "
            "it has, and import that one into a bucket without this one",
            err=True,
        )


@click.command("import")
@click.argument("file", type=_FILE)
@quiet_option
@writing
def import_(session: Session, file: Path, *, quiet: bool) -> None:
    """Store the run, the records and the artifacts of a bundle.

    FILE is one that 'export' wrote. All of it is verified before anything is stored, artifacts that are there are not
    sent again, and the run keeps its id. Pickles stay unread unless they were signed with the key of this process.
    """
    with artifacts(session) as storage, Bars(shown=wanted(session, quiet=quiet), total=False) as bars:
        with bars.transfer(file.name, None) as progress:
            done = import_bundle(storage, file, progress=progress)
        told = [] if quiet else [f"imported {done.contents.run} into {storage.bucket}, {_amount(done.contents)}"]
        if not done.is_new:
            told = [] if quiet else [f"{done.contents.run} is in {storage.bucket} already, with the same content"]
    fields = {
        "new": done.is_new,
        "unsigned": done.unsigned,
        "buckets": done.elsewhere,
        "refused": done.refused,
        "stores": done.unreachable,
    }
    session.emit({**_record(done.contents), **fields}, "\n".join(told) or None)
    if not session.as_json:
        for line in _cautions(done):
            click.echo(f"lucas-storage: {printable(line)}", err=True)


def _cautions(done: Imported) -> list[str]:
    lines = []
    if done.unsigned:
        lines.append(
            f"{done.unsigned} references to pickles stay unread, since no key of this process signed them; if you "
            "hold the key of who made them, set LUCAS_STORAGE_SIGNING_KEY before the import"
        )
    if done.elsewhere:
        lines.append(
            f"artifacts to which others refer were stored in {', '.join(done.elsewhere)} as well, as these say"
        )
    if done.refused:
        lines.append(
            f"artifacts refer to others in {', '.join(done.refused)}, where this access key may not store; if they "
            "cannot be read there, import once more with a key that may"
        )
    if done.unreachable:
        lines.append(
            f"artifacts refer to others in the stores {', '.join(done.unreachable)}; set LUCAS_STORAGE_ENDPOINTS to "
            "read these"
        )
    if done.contents.missing:
        lines.append(f"{len(done.contents.missing)} artifacts of the run were left out when the bundle was written")
    return lines


def _amount(contents: Contents) -> str:
    return f"{len(contents.objects)} objects, {shown_size(contents.size)}"


def _record(contents: Contents) -> dict[str, Any]:
    return {
        "run": contents.run,
        "workflow": contents.workflow,
        "records": len(contents.records),
        "objects": len(contents.objects),
        "size": contents.size,
        "missing": contents.missing,
    }
