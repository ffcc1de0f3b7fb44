"""`cp`: one file to an object, or one object to a file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from actorc.storage.errors import AlreadyExistsError
from actorc.storage.models import DownloadResult

from .content import check_file, stream
from .session import Session, writing
from .targets import SCHEME, Target, key, prefix

STREAM: Final = "-"


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option("-n", "--no-clobber", is_flag=True, help="Do not replace what is there.")
@click.option("--content-type", help="MIME type of an upload; else guessed from the file's name.")
@writing
def cp(session: Session, source: str, destination: str, *, no_clobber: bool, content_type: str | None) -> None:
    """Copy a local file to an object, or an object to a local file.

    An object is written lucas://STORE/BUCKET/KEY, such as lucas://default/photos/cat.png. A destination that is a
    directory, or a key that is empty or ends with a slash, takes over the name. A dash is standard input or output.
    """
    if source.startswith(SCHEME) == destination.startswith(SCHEME):
        raise click.UsageError(f"one of the two, and one only, is an object such as {SCHEME}default/my-bucket/data.csv")
    if content_type and source.startswith(SCHEME):
        raise click.UsageError("--content-type is for uploads; a local file has none")
    try:
        if source.startswith(SCHEME):
            _download(session, key(source), destination, no_clobber=no_clobber)
        else:
            _upload(session, source, destination, content_type, no_clobber=no_clobber)
    except (FileExistsError, AlreadyExistsError) as error:
        raise FileExistsError(f"{destination} is taken; drop --no-clobber to replace what is there") from error


def _upload(session: Session, source: str, destination: str, content_type: str | None, *, no_clobber: bool) -> None:
    target = key(destination) if source == STREAM else prefix(destination)
    if target.digest:
        raise click.UsageError("what a whole reference names is not written twice; drop it from its '?' on")
    if source == STREAM:
        data = sys.stdin.buffer
        send = session.client(target.store).upload_from_stream
        with _progress(session, target.key) as progress:
            done = send(target.bucket, target.key, data, content_type, if_absent=no_clobber, progress=progress)
    else:
        into = not target.key or target.key.endswith("/")
        full_key = target.key + Path(source).name if into else target.key
        send_file = session.client(target.store).upload_file
        with _progress(session, Path(source).name) as progress:
            done = send_file(target.bucket, full_key, source, content_type, if_absent=no_clobber, progress=progress)
    session.emit(done, None)


def _download(session: Session, target: Target, destination: str, *, no_clobber: bool) -> None:
    if destination == STREAM:
        output = sys.stdout.buffer
        for piece in stream(session.client(target.store), target):
            output.write(piece)
        output.flush()
        return
    path = Path(destination)
    if destination.endswith("/") or path.is_dir():
        path /= target.key.rpartition("/")[2]
    session.emit(_download_file(session, target, path, no_clobber=no_clobber), None)


def _download_file(session: Session, target: Target, path: Path, *, no_clobber: bool) -> DownloadResult:
    fetch = session.client(target.store).download_file
    with _progress(session, path.name) as progress:
        if target.digest is None:
            return fetch(target.bucket, target.key, path, not no_clobber, progress=progress)
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as folder:
            part = Path(folder, "part")
            done = fetch(target.bucket, target.key, part, progress=progress)
            check_file(part, target)
            (os.link if no_clobber else os.replace)(part, path)
        return {**done, "file_path": str(path)}


@contextmanager
def _progress(session: Session, what: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """Show how far a transfer is, if there is a terminal to show it on."""
    if session.as_json or not os.isatty(2):
        yield None
        return
    from rich.console import Console  # noqa: PLC0415  # of use to few commands only
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
