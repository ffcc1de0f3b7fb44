"""Fields of records, which may be of other versions or of strangers: those that are not as expected are left out."""

from __future__ import annotations

import re
import sys
from typing import Any, Final

from lucas_storage.refs import ArtifactRef

from .past_run import Attempt, Holding, Mention, PastStep, StepState

YEAR_10000: Final = 253_402_300_800
"""Seconds since 1970 from which on a `datetime` has no name for a moment."""
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MEMO_KEY: Final = re.compile(r"[0-9a-f]{64}")


def step_of(content: dict[str, Any]) -> PastStep:
    """Return the step that a record tells."""
    return PastStep(
        key=content["key"] if isinstance(content.get("key"), str) else "",
        after=strings_in(content.get("after")),
        function=text_of(content.get("function")),
        started=moment_of(content.get("started")),
        seconds=number_of(content.get("seconds")),
        reused=content.get("reused") is True,
        error=error_of(content),
        inputs=mentions_by_name(content.get("in")),
        outputs=mentions_in(content.get("out")),
        state=_state_of(content),
        version=text_or_none(content.get("version")),
        source=_ref_or_none(content.get("source")),
        shipped=_ref_or_none(content.get("shipped")),
        given=values_by_name(content.get("given")),
        withheld=strings_in(content.get("withheld")),
        returned=content.get("returned"),
        fingerprint=text_or_none(content.get("fingerprint")),
        message=text_or_none(content.get("message")),
        traceback=text_or_none(content.get("traceback")),
        attempts=tuple(map(_attempt_of, dicts_in(content.get("attempts")))),
        machine=text_or_none(content.get("machine")),
        inner=tuple(map(_holding_of, dicts_in(content.get("inner")))),
        told=text_or_none(content.get("told")),
        memo=memo_key_of(content.get("memo")),
    )


def _holding_of(content: dict[str, Any]) -> Holding:
    of = text_or_none(content.get("of"))
    mentions = mentions_in(content.get("refs"))
    return Holding(
        of=of if of is not None and _DIGEST.fullmatch(of) else None,
        refs=tuple(mention.ref for mention in mentions if mention.ref is not None),
    )


def _attempt_of(content: dict[str, Any]) -> Attempt:
    return Attempt(
        seconds=number_of(content.get("seconds")),
        error=error_of(content),
        message=text_or_none(content.get("message")),
        traceback=text_or_none(content.get("traceback")),
    )


def _state_of(content: dict[str, Any]) -> StepState:
    # By the other fields, which records of every version have, so that state and error never contradict each other.
    if content.get("error") is not None:
        return "failed"
    if content.get("reused") is True:
        return "reused"
    return "running" if content.get("state") == "running" else "succeeded"


def strings_in(found: Any) -> tuple[str, ...]:
    """Return the strings of a list."""
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def strings_by_name(found: Any) -> dict[str, str]:
    """Return the strings of a dict."""
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: each for name, each in pairs if isinstance(name, str) and isinstance(each, str)}


def values_by_name(found: Any) -> dict[str, Any] | None:
    """Return a dict of any values; None if it is none."""
    return {str(name): each for name, each in found.items()} if isinstance(found, dict) else None


def mentions_by_name(found: Any) -> dict[str, tuple[Mention, ...]]:
    """Return the lists of artifacts of a dict."""
    return {text_of(name): mentions_in(refs) for name, refs in found.items()} if isinstance(found, dict) else {}


def mentions_in(found: Any) -> tuple[Mention, ...]:
    """Return the artifacts of a list."""
    return tuple(map(_mention_of, found)) if isinstance(found, list) else ()


def _mention_of(found: Any) -> Mention:
    if type(found) is ArtifactRef:
        return Mention(found.format, found.size, found)
    fields = found if isinstance(found, dict) else {}
    return Mention(text_of(fields.get("inline")), int(number_of(fields.get("size"))), None)


def dicts_in(found: Any) -> list[dict[str, Any]]:
    """Return the dicts of a list."""
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def error_of(content: dict[str, Any]) -> str | None:
    """Return the name of the class of the exception that a record has."""
    return None if content.get("error") is None else text_of(content["error"])


def text_of(found: Any) -> str:
    """Return a string; a question mark in place of anything else."""
    return found if isinstance(found, str) else "?"


def text_or_none(found: Any) -> str | None:
    """Return a string; None in place of anything else."""
    return found if isinstance(found, str) else None


def _ref_or_none(found: Any) -> ArtifactRef | None:
    return found if type(found) is ArtifactRef else None


def memo_key_of(found: Any) -> str | None:
    """Return the key of a cached result; None in place of anything else."""
    return found if isinstance(found, str) and _MEMO_KEY.fullmatch(found) else None


def number_of(found: Any) -> float:
    """Return a number; 0 in place of anything else."""
    # JSON may have 1e999, which is read as infinity, and integers beyond every float.
    is_number = type(found) in (int, float) and abs(found) <= sys.float_info.max
    return float(found) if is_number else 0.0


def moment_of(found: Any) -> float:
    """Return a time in seconds since 1970 that a date can have; 0 in place of anything else."""
    moment = number_of(found)
    return moment if 0 <= moment < YEAR_10000 else 0.0
