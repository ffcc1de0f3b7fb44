"""Steps that a step on another process called there: each has a record of its own, which that of the step names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from lucas_storage.artifacts.store import ArtifactStore

from . import record_store, record_text
from .step_note import SMALL_MAX, brief
from .ulid import is_ulid
from .untrusted_fields import strings_in

MOST: Final = 1000
"""Steps that one step calls and that are recorded; a loop may call any number."""
MOST_OF_RUN: Final = 10_000
"""Such steps that the record of a run repeats: they are read when it ends, which waits for that."""


def called_by(storage: ArtifactStore, run: str, told: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of the steps that distant steps of a run called.

    Args:
        storage: Its default bucket has the records.
        run: Key of the run.
        told: The records of the distant steps, as the processes that ran them wrote them.
    """
    named = (name for content in told for name in strings_in(content.get("calls"))[:MOST] if is_ulid(name))
    keys = [record_store.step_key(run, name) for name in islice(dict.fromkeys(named), MOST_OF_RUN)]
    found = ((record.key, record.content or {}) for record in record_store.read_keys(storage, keys))
    # A stranger's record must not take the place of a step of the run.
    return [content for key, content in found if key == record_store.step_key(run, str(content.get("key")))]


def text_of_run(record: dict[str, Any]) -> bytes:
    """Return the record of such a step as that of the run repeats it."""
    text = record_text.encode(record)
    return text if len(text) <= SMALL_MAX else record_text.encode(brief(record))
