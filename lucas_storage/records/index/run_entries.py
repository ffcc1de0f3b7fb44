"""The entries of a run in the index, as the process of the run writes them at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records.distant_steps import joined
from lucas_storage.records.record_store import Prepared
from lucas_storage.records.run_history import run_of
from lucas_storage.records.step_note import StepNote
from lucas_storage.refs import ArtifactRef

from . import run_index


def prepared(
    storage: ArtifactStore,
    run: str,
    facts: Mapping[str, Any],
    notes: Sequence[StepNote],
    told: Mapping[str, dict[str, Any]],
    called: Sequence[dict[str, Any]] = (),
) -> list[Prepared]:
    """Return the entries of a run as records to be written; none if it stored and took no artifact.

    Args:
        storage: Its default bucket takes them.
        run: Key of the run.
        facts: The record of the run without its steps.
        notes: The steps.
        told: By key, the records that other processes wrote of steps.
        called: Records of the steps that these called.
    """
    # Looked for first, as the values of most quick runs travel within calls.
    mentions = chain(facts["in"].values(), [facts["out"]], *([*note.inputs.values(), note.outputs] for note in notes))
    is_none_stored = not any(type(mention) is ArtifactRef for each in mentions for mention in each)
    if is_none_stored and not told and not any(note.inner for note in notes):
        return []
    steps = [*(joined(note.facts(), told.get(note.key, {})) for note in notes), *called]
    return run_index.prepared(storage, run_index.entries_of(run_of(run, {**facts, "steps": steps})))
