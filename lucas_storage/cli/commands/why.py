"""`why` and `uses`: where an artifact comes from and what keeps it, and what was made from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from lucas_storage.cli.artifact_handles import artifacts
from lucas_storage.cli.completion.parameters import NAMES
from lucas_storage.cli.printing import printable
from lucas_storage.cli.session import Session, reading
from lucas_storage.declared_settings import DEFAULT_STORE
from lucas_storage.lineage.provenance.explanation import consequences, explain
from lucas_storage.lineage.provenance.explanation_text import MOST, Branch, consequences_tree, explanation_tree, lines
from lucas_storage.lineage.provenance.named_artifact import artifact_named, parsed
from lucas_storage.refs import ArtifactRef
from lucas_storage.storage import Storage

_ALL: Final = 1_000_000


@click.command()
@click.argument("ref", shell_complete=NAMES)
@click.option("-l", "--long", is_flag=True, help="Show all runs, records and inputs, not the first five of each.")
@reading
def why(session: Session, ref: str, *, long: bool) -> None:
    """Show where an artifact comes from, who read it, and what keeps it.

    REF is a reference as 'runs --long' prints it, a published NAME, NAME@ALIAS or NAME@VERSION, a digest or its first
    six digits or more, or the key of an object.
    """
    with _asked(session, ref) as (storage, found):
        explanation = explain(storage, found)
    session.emit(explanation.to_json(), _text(explanation_tree(explanation, _ALL if long else MOST)))


@click.command()
@click.argument("ref", shell_complete=NAMES)
@click.option("-l", "--long", is_flag=True, help="Show all steps, not the first five of each.")
@reading
def uses(session: Session, ref: str, *, long: bool) -> None:
    """Show what was made from an artifact, step by step.

    REF is what 'why' takes.
    """
    with _asked(session, ref) as (storage, found):
        made = consequences(storage, found)
    session.emit(made.to_json(), _text(consequences_tree(made, _ALL if long else MOST)))


@contextmanager
def _asked(session: Session, text: str) -> Iterator[tuple[Storage, ArtifactRef]]:
    known = parsed(text)
    with artifacts(session, DEFAULT_STORE if known is None else known.store) as storage:
        yield storage, artifact_named(storage, text) if known is None else known


def _text(tree: Branch) -> str:
    return "\n".join(map(printable, lines(tree)))
