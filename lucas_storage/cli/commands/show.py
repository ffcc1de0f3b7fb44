"""`show`: describes an artifact and prints its beginning."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.completion.parameters import NAMES
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session, reading
from lucas_storage.declared_settings import DEFAULT_STORE
from lucas_storage.errors import InvalidRefError
from lucas_storage.preview_data import Preview
from lucas_storage.previews import statistics_text
from lucas_storage.previews.preview import preview
from lucas_storage.refs import ArtifactRef
from lucas_storage.storage import Storage

_LABEL: Final = 12
_OBJECT: Final = "names an object; 'lucas-storage stat' and 'head' show one, this a reference"


@click.command()
@click.argument("ref", shell_complete=NAMES)
@click.option("-n", "--lines", type=click.IntRange(min=0), default=20, show_default=True, help="Lines, rows or values.")
@reading
def show(session: Session, ref: str, *, lines: int) -> None:
    """Show what an artifact is, and how it begins.

    REF is a reference as 'runs --long' prints it or as it travels, or a published NAME, NAME@ALIAS or NAME@VERSION.
    A pickle is described and never loaded.
    """
    parsed = _parsed(ref)
    with artifacts(session, DEFAULT_STORE if parsed is None else parsed.store) as storage:
        found = storage.lookup(ref) if parsed is None else parsed
        record = _described(found, storage)
        look = preview(storage, found, lines)
    facts = {**record, **look.facts, **_statistics(look)}
    # Names of facts are a stranger's, too: those of the columns of a table.
    text = [f"{printable(label) + ':':<{_LABEL}} {printable(str(value))}" for label, value in facts.items()]
    body = [printable(line).replace("\\t", "  ") for line in look.lines]
    more = [] if look.complete or not body else ["…"]
    shown = {"facts": look.facts, "lines": look.lines, "complete": look.complete, "preview": look.to_json()}
    session.emit({**record, **shown}, "\n".join([*text, *([""] if body else []), *body, *more]))


def _statistics(look: Preview) -> dict[str, str]:
    """Return the statistics of columns and values as facts, the former behind the types of the columns."""
    columns = {
        each.name: ("; ".join([each.type, *statistics_text.of_column(each, look.sample)])) for each in look.columns
    }
    numbers = {} if look.numbers is None else statistics_text.of_numbers(look.numbers, look.sample)
    error = {"not shown": look.error} if look.error else {}
    return {f"column {name}": told for name, told in columns.items()} | numbers | error


def _parsed(text: str) -> ArtifactRef | None:
    """Return the reference that `text` spells; None if it can only be a published name."""
    if text.startswith("lucas:"):
        if "?" not in text:
            raise InvalidRefError(f"{text} {_OBJECT}")
        return ArtifactRef.parse(text)
    if not text.lstrip().startswith("{"):
        if "/" in text:
            raise InvalidRefError(f"{text} {_OBJECT}")
        return None
    try:
        return ArtifactRef.parse(json.loads(text))
    except InvalidRefError as error:
        raise InvalidRefError("this is no reference; pass one as it travels between steps, or its URI") from error
    except ValueError as error:
        raise InvalidRefError("the text is not JSON; pass a reference as it travels, or its URI") from error


def _described(ref: ArtifactRef, storage: Storage) -> dict[str, Any]:
    record: dict[str, Any] = {"format": ref.format, "size": ref.size, "kind": ref.kind, "digest": ref.digest}
    stored_at = storage.stat(ref).stored_at
    place = {} if ref.inline is not None else {"store": ref.store, "bucket": ref.bucket, "key": ref.key}
    rest = {"file name": ref.filename, "run": ref.run, "stored": stored_at and f"{stored_at:%Y-%m-%d %H:%M:%S}"}
    return {**record, **place, **{name: value for name, value in rest.items() if value is not None}}
