"""A past run as JSON for programs: all fields of its record, references as texts."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from lucas_storage.records import record_text
from lucas_storage.records.past_run import Attempt, Mention, PastRun, PastStep
from lucas_storage.refs import ArtifactRef


def json_of(run: PastRun) -> dict[str, Any]:
    """Return a run; arguments as the record has them, so that references in them are tagged dicts."""
    steps = [{**_plain(step), "given": _data(step.given), **_data({"returned": step.returned})} for step in run.steps]
    return {**_plain(run), "parameters": _data(run.parameters), "steps": steps}


def _plain(part: PastRun | PastStep | Attempt) -> dict[str, Any]:
    return {each.name: _value(getattr(part, each.name)) for each in fields(part)}


def _value(value: Any) -> Any:
    if isinstance(value, ArtifactRef):
        return value.uri
    if isinstance(value, Mention):
        ref = None if value.ref is None else value.ref.uri
        return {"format": value.format, "size": value.size, "ref": ref}
    if isinstance(value, Attempt):
        return _plain(value)
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, dict):
        return {name: _value(item) for name, item in value.items()}
    return value


def _data(given: dict[str, Any] | None) -> Any:
    # Through the encoding, since records hold more than JSON does.
    return None if given is None else json.loads(record_text.encode(given))
