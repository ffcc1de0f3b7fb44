"""`stat`: prints all attributes of objects and buckets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from actorc.storage.errors import BucketNotFoundError
from actorc.storage.units import shown_size
from lucas_storage.cli import globbing
from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.output.summary import Summary
from lucas_storage.cli.printing import printable, shown_time
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.uris import Target, prefix

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import BucketResult, ObjectHead


@click.command()
@click.argument("targets", metavar="BUCKET[/KEY]…", type=prefix, nargs=-1, required=True, shell_complete=OBJECTS)
@reading
def stat(session: Session, targets: tuple[Target, ...]) -> None:
    """Print everything that is known of objects or buckets: size, type, times, etag, checksum, metadata.

    Keys may have wildcards; quote them.
    """
    patterns = {target: globbing.is_pattern(session.client(target.store), target) for target in targets}
    summary = Summary(session, many=len(targets) > 1 or any(patterns.values()))
    for target in targets:
        with summary.trying(str(target), {"bucket": target.bucket, "key": target.key}):
            if target.key:
                _objects(session, target, pattern=patterns[target])
            else:
                _bucket(session, target)
            summary.count("shown")
    summary.close()


def _objects(session: Session, target: Target, *, pattern: bool) -> None:
    for each in globbing.find(session.client(target.store), target, pattern=pattern, recursive=False):
        place = str(target.at(each.head["key"]))
        session.emit({**each.head, "uri": place}, "\n".join([place, *_lines(each.head)]))


def _bucket(session: Session, target: Target) -> None:
    found = _created(session.client(target.store), target.bucket)
    text = f"{target}\n  {'created':<12}{shown_time(found['created_at'])} UTC"
    session.emit({**found, "uri": str(target)}, text)


def _created(client: StorageClient, name: str) -> BucketResult:
    found = next((each for each in client.list_buckets() if each["name"] == name), None)
    if found is None:
        raise BucketNotFoundError("there is no such bucket; 'lucas-storage ls' shows which there are", name)
    return found


def _lines(head: ObjectHead) -> Iterator[str]:
    size = head["size"]
    facts = {
        "size": f"{size} B" if size < 1024 else f"{size} B ({shown_size(size)})",
        "type": head["content_type"],
        "changed": f"{shown_time(head['last_modified'])} UTC",
        "expires": f"{shown_time(head['expires_at'])} UTC" if head["expires_at"] else "never",
        "etag": head["etag"],
        "crc32c": head["crc32c"],
        "generation": head["generation"],
    }
    for label, value in facts.items():
        yield f"  {label:<12}{printable(str(value))}"
    if head["metadata"]:
        yield "  metadata"
        for name, value in sorted(head["metadata"].items()):
            yield f"    {printable(name)}: {printable(value)}"
