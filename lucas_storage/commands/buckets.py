"""`ls`, `mb` and `rb`: what there is, and the buckets it is in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click

from actorc.storage.client import StorageClient
from actorc.storage.errors import AlreadyExistsError, ObjectNotFoundError
from actorc.storage.models import BucketResult, ObjectHead

from .session import Session, printable, reading, writing
from .targets import Target, bucket, prefix


@click.command()
@click.argument("target", metavar="[BUCKET[/PREFIX]]", type=prefix, required=False)
@click.option("-l", "--long", is_flag=True, help="Also size in bytes, time of the last change (UTC) and content type.")
@click.option("-r", "--recursive", is_flag=True, help="List every object, not only up to the next slash.")
@reading
def ls(session: Session, target: Target | None, *, long: bool, recursive: bool) -> None:
    """List buckets, or the objects of one whose keys begin with a prefix.

    Keys that go on behind the next slash are listed once, up to that slash.
    """
    if target is None:
        _list_buckets(session, long=long)
        return
    found = False
    for entry in _entries(session.client(target.store), target, recursive=recursive):
        found = True
        if isinstance(entry, str):
            session.emit({"bucket": target.bucket, "prefix": entry}, _line(entry, None, long=long))
        else:
            session.emit(entry, _line(entry["key"], entry, long=long))
    if target.key and not found:
        raise ObjectNotFoundError("no key begins like this; 'lucas-storage ls' shows more", target.bucket, target.key)


@click.command()
@click.argument("targets", metavar="BUCKET…", type=bucket, nargs=-1, required=True)
@click.option("--exist-ok", is_flag=True, help="Do not mind buckets that exist.")
@writing
def mb(session: Session, targets: tuple[Target, ...], *, exist_ok: bool) -> None:
    """Make buckets."""
    for target in targets:
        session.emit(_make(session.client(target.store), target.bucket, exist_ok=exist_ok), None)


@click.command()
@click.argument("targets", metavar="BUCKET…", type=bucket, nargs=-1, required=True)
@reading
def rb(session: Session, targets: tuple[Target, ...]) -> None:
    """Remove empty buckets."""
    for target in targets:
        session.client(target.store).delete_bucket(target.bucket)
        session.emit({"name": target.bucket, "removed": True}, None)


def _make(client: StorageClient, name: str, *, exist_ok: bool) -> BucketResult:
    try:
        return client.create_bucket(name, exist_ok=exist_ok)
    except AlreadyExistsError as error:
        raise AlreadyExistsError("the bucket exists; add --exist-ok if that is fine", name) from error


def _list_buckets(session: Session, *, long: bool) -> None:
    for each in session.client().list_buckets():
        created = f"{_time(each['created_at'])}  " if long else ""
        session.emit(each, created + each["name"])


def _entries(client: StorageClient, target: Target, *, recursive: bool) -> Iterator[ObjectHead | str]:
    """Yield objects and rolled-up prefixes in the order of their names, page by page."""
    if recursive:
        yield from client.iter_objects(target.bucket, target.key)
        return
    token: str | None = ""
    while token is not None:
        page = client.list_objects(target.bucket, target.key, delimiter="/", page_token=token or None)
        entries: list[ObjectHead | str] = [*page["objects"], *page["common_prefixes"]]
        yield from sorted(entries, key=lambda entry: entry if isinstance(entry, str) else entry["key"])
        token = page["next_page_token"]


def _line(name: str, entry: ObjectHead | None, *, long: bool) -> str:
    if not long:
        return printable(name)
    if entry is None:
        return f"{'-':>14}  {'-':<19}  {'-':<26}  {printable(name)}"
    details = f"{entry['size']:>14}  {_time(entry['last_modified'])}  {printable(entry['content_type']):<26}"
    return f"{details}  {printable(name)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
