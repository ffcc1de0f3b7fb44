"""Whether a step returned the same as before, bit for bit, and what differs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

from actorc.storage.units import shown_size
from lucas_storage.containers import walked
from lucas_storage.records.past_run import Mention, PastStep
from lucas_storage.records.result_fingerprint import fingerprint, form
from lucas_storage.refs import ArtifactRef
from lucas_storage.values import wire_form

_LONGEST: Final = 80
"""Characters of a value that are shown."""


def differences(step: PastStep, out: Any) -> list[str]:
    """Return in words where a result as it travels differs from the recorded one; nothing if both are the same.

    Artifacts are the same by format, size and digest, wherever they lie and whatever their files are called.
    """
    now = mentions_of(out)
    if len(now) != len(step.outputs):
        return [f"{_count(now)} instead of {_count(step.outputs)}"]
    pairs = zip_longest(step.outputs, now)
    found = [text for before, after in pairs for text in _difference(before, after)]
    if found:
        return found
    if step.returned is not None and form(step.returned) != form(out):
        return [_value_text(step.returned, out)]
    if step.fingerprint is not None and step.fingerprint != fingerprint(out):
        return ["other data, in which the same artifacts stand" if now else "another value"]
    return []


def is_known(step: PastStep, out: Any) -> bool:
    """Return whether the record has all of a result to which `out` is compared."""
    (only, *more) = (*mentions_of(out), None)
    return (step.returned, step.fingerprint) != (None, None) or (
        only is not None and only.ref is not None and more == [None] and type(wire_form.with_refs(out)) is ArtifactRef
    )


def mentions_of(out: Any) -> tuple[Mention, ...]:
    """Return the references in a result as it travels, as a record mentions them."""
    refs = (item for item in walked(wire_form.with_refs(out)) if type(item) is ArtifactRef)
    return tuple(Mention(ref.format, ref.size, ref if ref.inline is None else None) for ref in refs)


def _difference(before: Mention, after: Mention) -> Iterator[str]:
    if _identity(before) == _identity(after):
        return
    yield f"{_shown(after)} instead of {_shown(before)}"


def _identity(mention: Mention) -> tuple[Any, ...]:
    ref = mention.ref
    return mention.format, mention.size, None if ref is None else (ref.kind, ref.digest)


def _shown(mention: Mention) -> str:
    digest = mention.ref.digest if mention.ref is not None else None
    name = digest.removeprefix("sha256:")[:12] if digest else "inline"
    return f"{mention.format} {shown_size(mention.size)} {name}"


def _count(mentions: tuple[Mention, ...]) -> str:
    return f"{len(mentions)} artifact{'' if len(mentions) == 1 else 's'}"


def _value_text(before: Any, after: Any) -> str:
    return f"{after!r:.{_LONGEST}} instead of {before!r:.{_LONGEST}}"
