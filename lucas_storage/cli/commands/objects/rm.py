"""`rm`: removes objects, in batches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import click

from actorc.storage.errors import ObjectNotFoundError, StorageError
from actorc.storage.rules import MAX_BATCH
from lucas_storage.cli import globbing
from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.options import dry_run_option, quiet_option
from lucas_storage.cli.output.progress import OnProgress, counter, wanted
from lucas_storage.cli.output.summary import Summary
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.uris import Target, prefix


@click.command()
@click.argument("targets", metavar="BUCKET/KEY…", type=prefix, nargs=-1, required=True, shell_complete=OBJECTS)
@click.option("-r", "--recursive", is_flag=True, help="Remove what lies beneath the keys too; of a bucket, everything.")
@click.option("-f", "--force", is_flag=True, help="Do not mind objects that do not exist.")
@dry_run_option
@quiet_option
@reading
def rm(
    session: Session, targets: tuple[Target, ...], *, recursive: bool, force: bool, dry_run: bool, quiet: bool
) -> None:
    """Remove objects.

    Keys may have wildcards; quote them. An object whose key is written exactly like that comes first. What cannot be
    removed is told, and the rest is removed all the same.
    """
    since = time.monotonic()
    patterns = {target: globbing.is_pattern(session.client(target.store), target) for target in targets}
    many = len(targets) > 1 or recursive or any(patterns.values())
    summary = Summary(session, many=many)
    with counter("removed", shown=many and wanted(session, quiet=quiet)) as moved:
        removal = Removal(session, summary, dry_run=dry_run, moved=moved)
        for target in targets:
            with summary.trying(str(target), {"bucket": target.bucket, "key": target.key}):
                for each in _objects_of(session, target, pattern=patterns[target], recursive=recursive, force=force):
                    removal.add(each)
        removal.flush()
    if many and not (quiet or dry_run):
        summary.tell(f"{summary['removed']} removed in {time.monotonic() - since:.1f} s", "removed")
    summary.close()


class Removal:
    """Removes objects in batches; one that cannot be removed does not affect the others.

    Args:
        session: Has the connections, and prints results.
        summary: Counts and reports.
        dry_run: Whether to print the objects without removing them.
        moved: Called with the number removed so far.
    """

    def __init__(self, session: Session, summary: Summary, *, dry_run: bool, moved: OnProgress | None = None) -> None:
        self._session = session
        self._summary = summary
        self._dry_run = dry_run
        self._moved = moved
        self._batch: list[Target] = []

    def add(self, target: Target) -> None:
        """Remove an object, together with others or at once."""
        if self._dry_run:
            record = {"action": "delete", "bucket": target.bucket, "key": target.key, "dry_run": True}
            self._session.emit(record, printable(f"delete {target}"))
            return
        first = self._batch[0] if self._batch else target
        # A call deletes keys of one bucket only, and at most `MAX_BATCH` of them.
        if len(self._batch) == MAX_BATCH or (first.store, first.bucket) != (target.store, target.bucket):
            self.flush()
        self._batch.append(target)

    def flush(self) -> None:
        """Remove the objects added so far."""
        if not self._batch:
            return
        first, batch = self._batch[0], {target.key: target for target in self._batch}
        self._batch = []
        with self._summary.trying(str(replace(first, key="")), {"action": "delete", "bucket": first.bucket}):
            result = self._session.client(first.store).delete_objects(first.bucket, list(batch))
            self._take(batch, result["deleted"], result["errors"])

    def _take(self, batch: dict[str, Target], deleted: list[str], errors: dict[str, StorageError]) -> None:
        for key in deleted:
            self._summary.count("removed")
            record = {"action": "delete", "bucket": batch[key].bucket, "key": key, "removed": True}
            self._session.emit(record, None)
        for key, error in errors.items():
            self._summary.fail(str(batch[key]), error, {"action": "delete", "bucket": batch[key].bucket, "key": key})
        if self._moved is not None:
            self._moved(self._summary["removed"], None)


def _objects_of(session: Session, target: Target, *, pattern: bool, recursive: bool, force: bool) -> Iterator[Target]:
    """Yield the objects that a target stands for; with `force`, perhaps none."""
    # Without looking: the object need not exist, so the call that finds it out would be wasted.
    if force and not pattern and not recursive and target.key:
        yield target
        return
    try:
        for each in globbing.find(session.client(target.store), target, pattern=pattern, recursive=recursive):
            yield replace(target, key=each.head["key"], pattern="")
    except ObjectNotFoundError:
        if not force:
            raise
