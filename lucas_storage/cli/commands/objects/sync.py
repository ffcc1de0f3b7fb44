"""`sync`: makes a destination like its source, by copying changed files and objects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import click

from lucas_storage.cli.options import dry_run_option, jobs_option, quiet_option
from lucas_storage.cli.session import Session, printable, writing
from lucas_storage.cli.transfers.comparison import content_differs, differs
from lucas_storage.cli.transfers.queue import Transfer, TransferQueue
from lucas_storage.cli.transfers.sync_sides import Bucket, Entry, Folder
from lucas_storage.cli.uris import SCHEME, is_target, prefix

from .rm import Removal

_Side: TypeAlias = "Folder | Bucket"


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option("--delete", is_flag=True, help="Remove what the source does not have; nothing, if anything failed.")
@click.option("--checksum", is_flag=True, help="Compare files by their content, not by the time of the last change.")
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
    checksum: bool,
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
    here, there = _side(session, source), _side(session, destination)
    _check(here, there)
    here.check_source()
    queue = TransferQueue(session, many=True, jobs=jobs, quiet=quiet, dry_run=dry_run)
    surplus: list[str] = []
    queue.run(_changes(here, there, surplus, checksum=checksum))
    # Only after every copy succeeded: a failed one may be the reason why a name is missing.
    if delete and not queue.summary.failed:
        _remove(session, queue, there, surplus, dry_run=dry_run)
    elif delete and surplus:
        queue.summary.say("lucas-storage: nothing was removed, because something failed")
    queue.tell("copied", since)
    queue.close()


def _side(session: Session, text: str) -> _Side:
    if not is_target(text):
        return Folder(text)
    target = prefix(text)
    if target.digest:
        raise click.UsageError("a whole reference names one object; drop it from its '?' on")
    return Bucket(session.client(target.store), target)


def _check(here: _Side, there: _Side) -> None:
    if isinstance(here, Folder) and isinstance(there, Folder):
        raise click.UsageError(
            f"at least one of the two is in a bucket, such as {SCHEME}default/my-bucket/data; if {str(there)!r} is, "
            "write it like that"
        )
    if not isinstance(here, Bucket) or not isinstance(there, Bucket):
        return
    source, destination = here.target.key, there.target.key
    same = (here.client.endpoint, here.target.bucket) == (there.client.endpoint, there.target.bucket)
    if same and (source.startswith(destination) or destination.startswith(source)):
        raise click.UsageError(f"one of {here} and {there} lies inside the other; choose places apart")


def _changes(here: _Side, there: _Side, surplus: list[str], *, checksum: bool) -> Iterator[Transfer]:
    """Yield a transfer for each entry that may have to be copied; add the names that only `there` has to `surplus`."""
    for entry, present in _side_by_side(here.entries(source=True), there.entries(source=False)):
        if entry is None:
            surplus.extend([present.name] if present else [])
            continue
        transfer = _received(there, here, entry)
        if present is None or transfer.problem is not None:
            yield transfer
            continue
        # Files whose content must be compared are read on the threads of the queue, not here, where the listing waits.
        verdict = differs(entry.item, present.item, checksum=checksum)
        needed = partial(content_differs, entry.item, present.item) if verdict is None else partial(bool, verdict)
        yield replace(transfer, is_needed=needed)


def _received(there: _Side, here: _Side, entry: Entry) -> Transfer:
    if isinstance(there, Bucket):
        return there.receive(here, entry)
    assert isinstance(here, Bucket)
    return there.receive(here, entry)


def _side_by_side(here: Iterator[Entry], there: Iterator[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Yield the entries of each name on both sides, None where one lacks it; both are in the order of names."""
    # Merged as they come, in the byte order that both have, so that neither listing is held in memory.
    ours, theirs = next(here, None), next(there, None)
    while ours or theirs:
        if theirs is None or (ours and ours.name < theirs.name):
            yield ours, None
            ours = next(here, None)
        elif ours is None or theirs.name < ours.name:
            yield None, theirs
            theirs = next(there, None)
        else:
            yield ours, theirs
            ours, theirs = next(here, None), next(there, None)


def _remove(session: Session, queue: TransferQueue, there: _Side, names: list[str], *, dry_run: bool) -> None:
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
