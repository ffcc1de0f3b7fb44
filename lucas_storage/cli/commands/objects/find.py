"""`find`: lists objects that meet conditions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeAlias

import click

from actorc.storage import units
from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.models import ObjectHead
from lucas_storage.cli.completion.parameters import OBJECTS
from lucas_storage.cli.name_patterns import matches
from lucas_storage.cli.session import Session, reading
from lucas_storage.cli.uris import Target, is_target, key, prefix

_Condition: TypeAlias = Callable[[ObjectHead], bool]


@click.command()
@click.argument("target", metavar="[BUCKET[/PREFIX]]", type=prefix, required=False, shell_complete=OBJECTS)
@click.option("--name", "names", metavar="PATTERN", multiple=True, help="The last segment of the key is like this.")
@click.option("--path", "paths", metavar="PATTERN", multiple=True, help="The key is like this, from its beginning on.")
@click.option("--size", "sizes", metavar="[+|-]SIZE", multiple=True, help="So many bytes; more with +, fewer with -.")
@click.option("--newer", metavar="WHEN", multiple=True, help="Changed later.")
@click.option("--older", metavar="WHEN", multiple=True, help="Changed before.")
@click.option(
    "--type", "types", metavar="PATTERN", multiple=True, help="The content type is like this, as in 'image/*'."
)
@click.option("--metadata", "metadata", metavar="NAME[=VALUE]", multiple=True, help="There is metadata of this name.")
@reading
def find(
    session: Session,
    target: Target | None,
    *,
    names: tuple[str, ...],
    paths: tuple[str, ...],
    sizes: tuple[str, ...],
    newer: tuple[str, ...],
    older: tuple[str, ...],
    types: tuple[str, ...],
    metadata: tuple[str, ...],
) -> None:
    """List the objects whose keys begin with a prefix, or those of all buckets, that meet every condition.

    WHEN is a length of time before now, such as 15m or 7d, a date in UTC such as 2026-01-31 or 2026-01-31T08:30, or a
    file or lucas:// object whose change counts. Patterns want quotes: * and ? and [abc] match within a segment, ** any
    number of segments. Of several patterns of one kind, one is enough.

    \b
    Examples
      lucas-storage find photos --name '*.png' --size +1MiB
      lucas-storage find logs/2026/ --older 30d | xargs lucas-storage rm
    """  # noqa: D301  # click takes the character for the end of wrapping
    conditions: list[_Condition] = [
        *_any(names, lambda pattern, head: fnmatchcase(head["key"].rpartition("/")[2], pattern)),
        *_any(paths, lambda pattern, head: matches(head["key"], pattern)),
        *_any(types, lambda pattern, head: fnmatchcase(head["content_type"], pattern)),
        *map(_of_size, sizes),
        *(partial(_compared, operator.gt, _moment(session, text, "--newer")) for text in newer),
        *(partial(_compared, operator.lt, _moment(session, text, "--older")) for text in older),
        *map(_with_metadata, metadata),
    ]
    for place in [target] if target else _buckets(session):
        for head in _heads(session, place):
            if all(condition(head) for condition in conditions):
                uri = str(place.at(head["key"]))
                session.emit({**head, "uri": uri}, uri)


def _buckets(session: Session) -> Iterator[Target]:
    return (Target(bucket=each["name"]) for each in session.client().list_buckets())


def _heads(session: Session, place: Target) -> Iterator[ObjectHead]:
    nothing = True
    for head in session.client(place.store).iter_objects(place.bucket, place.key):
        nothing = False
        yield head
    if nothing and place.key:
        raise ObjectNotFoundError("no key begins like this; 'lucas-storage ls' shows more", place.bucket, place.key)


def _any(patterns: Iterable[str], fits: Callable[[str, ObjectHead], bool]) -> Iterator[_Condition]:
    """Yield the condition that one of the patterns fits, if there are any."""
    if some := tuple(patterns):
        yield lambda head: any(fits(pattern, head) for pattern in some)


def _of_size(text: str) -> _Condition:
    sign = text[:1] if text[:1] in {"+", "-"} else ""
    try:
        size = units.size(text.removeprefix(sign))
    except ValueError as error:
        raise click.UsageError(
            f"--size {text!r} is not {error}; with + before it for more, with - for fewer"
        ) from error
    compare = {"+": operator.gt, "-": operator.lt, "": operator.eq}[sign]
    return lambda head: compare(head["size"], size)


def _compared(compare: Callable[[datetime, datetime], bool], moment: datetime, head: ObjectHead) -> bool:
    return compare(head["last_modified"], moment)


def _with_metadata(text: str) -> _Condition:
    name, equals, value = text.partition("=")
    return lambda head: name in head["metadata"] and (not equals or fnmatchcase(head["metadata"][name], value))


def _moment(session: Session, text: str, option: str) -> datetime:
    if is_target(text):
        place = key(text)
        return session.client(place.store).head_object(place.bucket, place.key)["last_modified"]
    for read in (_before_now, _date, _change):
        try:
            return read(text)
        except (ValueError, OverflowError, OSError):
            continue
    raise click.UsageError(
        f"{option} {text!r} is no length of time such as 7d, no date such as 2026-01-31T08:30, and no file that exists"
    )


def _before_now(text: str) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=units.seconds(text))


def _date(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _change(text: str) -> datetime:
    return datetime.fromtimestamp(Path(text).stat().st_mtime, UTC)
