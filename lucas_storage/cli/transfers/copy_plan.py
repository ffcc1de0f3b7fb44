"""The plan of `cp` and `mv`: what their arguments stand for, and the transfers that follow from it."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from actorc.storage.errors import StorageError
from lucas_storage.cli import globbing
from lucas_storage.cli.session import Session
from lucas_storage.cli.uris import SCHEME, Target, is_target, prefix

from . import local_files, moving
from .destinations import BucketDestination, FileDestination, Options
from .queue import Transfer, TransferQueue


@dataclass(frozen=True, slots=True)
class _Source:
    text: str
    target: Target | None
    """None for local files."""
    pattern: bool
    """Whether to expand its wildcards."""

    @property
    def own(self) -> str:
        """Name under which it is copied into a folder; empty if it has none, or stands for several."""
        if self.pattern:
            return ""
        return globbing.own_name(self.target) if self.target else local_files.own_name(self.text)


class CopyPlan:
    """The transfers of `cp` or `mv`, found while they are iterated over: copying begins before a listing ends.

    Args:
        session: Has the connections.
        sources: Arguments of the command line, without wildcards or with them.
        destination: The last argument.
        options: Options of the copy.

    Raises:
        UsageError: The arguments do not go together.
    """

    def __init__(self, session: Session, sources: tuple[str, ...], destination: str, options: Options) -> None:
        self._session = session
        self._options = options
        self._sources = [self._source(text) for text in sources]
        # A pattern counts as several even if it matches one: what a command does must not depend on what is stored.
        several = len(sources) > 1 or any(source.pattern for source in self._sources)
        self.many = several or options.recursive
        """Whether there may be more than one transfer."""
        if is_target(destination):
            self._there: BucketDestination | FileDestination = BucketDestination(
                session, destination, options, into=several
            )
        else:
            self._there = FileDestination(destination, options, into=several)
        self._check(destination)

    def _source(self, text: str) -> _Source:
        if not is_target(text):
            return _Source(text, None, local_files.is_pattern(text))
        target = prefix(text)
        return _Source(text, target, globbing.is_pattern(self._session.client(target.store), target))

    def queue(self, *, jobs: int, quiet: bool, dry_run: bool, asking: bool) -> TransferQueue:
        """Return the queue for the transfers, which warns before them if something can be lost.

        Args:
            jobs: Transfers at the same time.
            quiet: Whether nothing but failures is shown.
            dry_run: Whether transfers are only named.
            asking: Whether each replacement is asked for.
        """
        return TransferQueue(
            self._session,
            many=self.many,
            jobs=jobs,
            quiet=quiet,
            dry_run=dry_run,
            asking=asking,
            caution=self._caution(),
            telling=isinstance(self._there, FileDestination),
        )

    def _caution(self) -> str:
        """Return what a person should know before the first transfer; empty if nothing can be lost."""
        if self.many and not self._options.no_clobber and isinstance(self._there, BucketDestination):
            for source in self._sources:
                if place := self._there.present(source.own):
                    return f"{place} is there already, what has the same names is replaced; --no-clobber keeps it"
        return ""

    def remove_empty_folders(self) -> None:
        """Remove the local source folders that are empty after their files were moved."""
        for source in self._sources:
            for path in glob.glob(source.text) if source.pattern else [source.text]:  # noqa: PTH207  # as its files
                if source.target is None and self._options.recursive:
                    moving.remove_empty_folders(Path(path))

    def _check(self, destination: str) -> None:
        # Before anything is listed or copied: a mistake in one argument must not leave half of a copy.
        remote = [source.target for source in self._sources if source.target is not None]
        if isinstance(self._there, FileDestination) and len(remote) < len(self._sources):
            raise click.UsageError(
                f"at least one of the two is an object such as {SCHEME}default/my-bucket/data.csv; "
                f"if {destination!r} is one, write it like that"
            )
        if self._options.content_type and remote:
            raise click.UsageError("--content-type is for uploads; objects keep theirs, and a local file has none")
        if self._options.removing and any(target.digest for target in remote):
            raise click.UsageError("what a whole reference names is not moved; drop it from its '?' on")
        for source in self._sources:
            if source.target is not None and isinstance(self._there, BucketDestination):
                self._check_outside(self._there, source.target)

    def _check_outside(self, there: BucketDestination, source: Target) -> None:
        if self._options.recursive or globbing.is_deep(source):
            there.check_outside(self._session.client(source.store), source)

    def transfers(self) -> Iterator[Transfer]:
        """Iterate over all transfers; those that cannot be done have the reason as `problem`."""
        for source in self._sources:
            yield from self._of(source)

    def _of(self, source: _Source) -> Iterator[Transfer]:
        try:
            yield from self._found(source)
        except (StorageError, OSError) as error:  # a source that cannot be listed does not keep the others from copying
            yield Transfer(action="copy", source=source.text, destination="", run=_nothing, problem=error)

    def _found(self, source: _Source) -> Iterator[Transfer]:
        there, options, chosen = self._there, self._options, self._options.chosen
        if source.target is not None:
            client = self._session.client(source.target.store)
            for each in globbing.find(client, source.target, pattern=source.pattern, recursive=options.recursive):
                if (each.rest is None and not source.pattern) or chosen(each.rest or each.own):
                    here = replace(source.target, key=each.head["key"], pattern="")
                    transfer = there.from_object(client, here, each)
                    remove = partial(moving.remove_object, client, each.head)
                    yield moving.moved(transfer, remove) if options.removing else transfer
        elif isinstance(there, BucketDestination):
            for file in local_files.files(source.text, pattern=source.pattern, recursive=options.recursive):
                if (file.rest is None and not source.pattern) or chosen(file.rest or file.own):
                    transfer = there.from_file(file)
                    yield moving.moved(transfer, partial(moving.remove_file, file)) if options.removing else transfer


def _nothing(_moved: Callable[[int, int | None], None]) -> dict[str, Any]:
    return {}
