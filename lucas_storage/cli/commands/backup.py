"""`backup` and `restore`: snapshots of a data directory while its server runs, and a data directory of a snapshot."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from actorc.storage.errors import NotFoundError
from actorc.storage.units import shown_size
from lucas_storage.cli.local_paths import LocalPath
from lucas_storage.cli.output.exit_codes import FAILED
from lucas_storage.cli.output.progress import Bars, OnProgress
from lucas_storage.cli.printing import print_record, printable

if TYPE_CHECKING:
    from actorc.storage.server.engines.local import Backup, Finding, ListedSnapshot, Manifest

_PLACE = LocalPath(path_type=Path)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")


@click.command()
@click.argument("directory", metavar="DIR", type=_PLACE)
@click.argument("target", type=_PLACE)
@click.option(
    "--keep", type=click.IntRange(min=1), default=7, show_default=True, metavar="N", help="How many snapshots stay."
)
@click.option("--verify", is_flag=True, help="Read also the files that earlier snapshots have, and mend damaged ones.")
@_QUIET
@_JSON
def backup(directory: Path, target: Path, *, keep: int, verify: bool, quiet: bool, as_json: bool) -> None:
    """Take a snapshot of a data directory while its server runs.

    Run it on the machine of the data directory DIR. The directory TARGET, made if it is missing, keeps the snapshots. A
    snapshot has everything that was acknowledged before, as of one moment; files that
    an earlier snapshot has are not copied again. Access keys and the signing key of DIR are in it, so keep TARGET as
    secret as DIR. TARGET may be copied elsewhere by any program, such as rsync, while no backup is being made.

    If anything is damaged in DIR, it is printed, the exit code is 1, and no snapshot is made: earlier ones stay.
    """
    from actorc.storage.server.engines.local import back_up  # noqa: PLC0415  # loads gRPC

    if not directory.exists():
        raise NotFoundError(
            f"{directory} does not exist; name the data directory of a server, on its own machine; from another "
            "machine 'lucas-storage sync' copies buckets"
        )
    with _progress("backup", quiet=quiet or as_json) as on_progress:
        done = back_up(directory, target, keep=keep, verify=verify, on_progress=on_progress)
    if done.manifest is None:
        _refuse(done.findings, f"no snapshot was made; earlier ones in {target} are as they were", as_json=as_json)
    elif as_json:
        print_record(_backup_record(done))
    else:
        click.echo(_backup_text(done))


@click.command()
@click.argument("source", metavar="BACKUP", type=_PLACE)
@click.argument("directory", metavar="[DIR]", type=_PLACE, required=False)
@click.option("--snapshot", metavar="NAME", help="Another snapshot than the newest.")
@click.option("--list", "action", flag_value="list", help="Print the snapshots, oldest first, as they say.")
@click.option("--check", "action", flag_value="check", help="Read and verify everything, and write nothing.")
@_QUIET
@_JSON
def restore(
    source: Path, directory: Path | None, *, snapshot: str | None, action: str | None, quiet: bool, as_json: bool
) -> None:
    """Make a data directory of a snapshot, or check or list snapshots.

    BACKUP is the directory that 'backup' was given, DIR the new one, which must be empty or missing. Every byte is
    verified. If anything is damaged, it is printed, the exit code is 1, and DIR is left empty. --list reads only what
    each snapshot says of itself; --check verifies.
    """
    from actorc.storage.server.engines import local  # noqa: PLC0415  # loads gRPC

    if (directory is None) != (action is not None):
        raise click.UsageError("give either DIR, the new data directory, or one of --list and --check")
    if action == "list":
        _list(local.snapshots(source), as_json=as_json)
        return
    with _progress("check" if directory is None else "restore", quiet=quiet or as_json) as on_progress:
        if directory is None:
            done = local.check(source, snapshot=snapshot, on_progress=on_progress)
        else:
            done = local.restore(source, directory, snapshot=snapshot, on_progress=on_progress)
    if done.findings:
        _refuse(done.findings, "nothing was restored; another snapshot may be whole", as_json=as_json)
    what = "nothing is damaged" if directory is None else f"restored into {printable(str(directory))}"
    _emit({**_record(done.manifest), "directory": directory}, f"{_line(done.manifest)}; {what}", as_json=as_json)


def _list(found: Sequence[ListedSnapshot], *, as_json: bool) -> None:
    for each in found:
        if each.manifest is None:
            _emit({"snapshot": each.snapshot, "problem": each.problem}, _problem(each), as_json=as_json)
        else:
            _emit(_record(each.manifest), _line(each.manifest), as_json=as_json)
    if found:
        # On standard error, so that standard output has the snapshots and nothing else.
        click.echo("As their manifests say; 'lucas-storage restore BACKUP --check' reads and verifies one.", err=True)
    if any(each.manifest is None for each in found):
        raise click.exceptions.Exit(FAILED)


def _problem(listed: ListedSnapshot) -> str:
    return printable(f"{listed.snapshot}  cannot be restored: {listed.problem}")


@contextmanager
def _progress(name: str, *, quiet: bool) -> Iterator[OnProgress]:
    with Bars(shown=not quiet and sys.stderr.isatty(), total=False) as bars, bars.transfer(name, None) as moved:
        yield moved


def _refuse(findings: Sequence[Finding], conclusion: str, *, as_json: bool) -> None:
    for finding in findings:
        line = f"{finding.kind:<12}  {printable(finding.subject)}  {printable(finding.detail)}"
        _emit(asdict(finding), line, as_json=as_json)
    click.echo(f"lucas-storage: {printable(conclusion)}", err=True)
    raise click.exceptions.Exit(FAILED)


def _emit(record: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_record({name: str(value) if isinstance(value, Path) else value for name, value in record.items()})
    else:
        click.echo(text)


def _record(manifest: Manifest) -> dict[str, Any]:
    record = asdict(manifest)
    return {**{name: record[name] for name in ("snapshot", "taken_at", "ended_at", "made_by")}, **record["totals"]}


def _line(manifest: Manifest) -> str:
    totals = manifest.totals
    return printable(
        f"{manifest.snapshot}  {totals.buckets} buckets, {totals.objects} objects, {shown_size(totals.object_bytes)}"
    )


def _backup_record(done: Backup) -> dict[str, Any]:
    assert done.manifest is not None
    return {
        **_record(done.manifest),
        "copied_files": done.copied.blobs,
        "copied_bytes": done.copied.bytes,
        "removed_snapshots": done.pruned.snapshots,
        "removed_files": done.pruned.blobs,
    }


def _backup_text(done: Backup) -> str:
    assert done.manifest is not None
    removed = (
        f"; removed {done.pruned.snapshots} older snapshots and {done.pruned.blobs} files"
        if done.pruned.snapshots or done.pruned.blobs
        else ""
    )
    return f"{_line(done.manifest)}; {done.copied.blobs} files new, {shown_size(done.copied.bytes)}{removed}"
