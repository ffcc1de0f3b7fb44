"""`cp`: copies files to objects, objects to files, and objects to objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import click

from actorc.storage.errors import StorageError
from lucas_storage.cli import globbing
from lucas_storage.cli.options import dry_run_option, jobs_option, quiet_option
from lucas_storage.cli.session import Session, writing
from lucas_storage.cli.transfers import local_files
from lucas_storage.cli.transfers.destinations import BucketDestination, FileDestination, Options
from lucas_storage.cli.transfers.queue import Transfer, TransferQueue
from lucas_storage.cli.transfers.streaming import stream, write_out
from lucas_storage.cli.transfers.transfer import upload_input
from lucas_storage.cli.uris import SCHEME, Target, is_target, key, prefix

STREAM: Final = "-"


@click.command()
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@click.argument("destination")
@click.option("-r", "--recursive", is_flag=True, help="Copy directories, and whatever lies beneath a key.")
@click.option("-n", "--no-clobber", is_flag=True, help="Do not replace what is there.")
@click.option("--content-type", help="MIME type of an upload; else guessed from the file's name.")
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
    content_type: str | None,
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
    options = Options(recursive=recursive, no_clobber=no_clobber, content_type=content_type)
    if STREAM in sources or (destination == STREAM and sources[0].startswith(SCHEME)):
        _copy_stream(session, sources, destination, options, dry_run=dry_run, quiet=quiet)
        return
    plan = _Plan(session, sources, destination, options)
    queue = TransferQueue(session, many=plan.many, jobs=jobs, quiet=quiet, dry_run=dry_run)
    queue.run(plan.transfers())
    queue.tell("copied", since)
    queue.close()


@dataclass(frozen=True, slots=True)
class _Source:
    text: str
    target: Target | None
    """None for local files."""
    pattern: bool
    """Whether to expand its wildcards."""


class _Plan:
    """The transfers of one command, found while they are iterated over: copying begins before a listing ends.

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
        there, recursive = self._there, self._options.recursive
        if source.target is not None:
            client = self._session.client(source.target.store)
            for each in globbing.find(client, source.target, pattern=source.pattern, recursive=recursive):
                here = replace(source.target, key=each.head["key"], pattern="")
                yield there.from_object(client, here, each)
        elif isinstance(there, BucketDestination):
            for file in local_files.files(source.text, pattern=source.pattern, recursive=recursive):
                yield there.from_file(file)


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


def _nothing(_moved: Callable[[int, int | None], None]) -> dict[str, Any]:
    return {}
