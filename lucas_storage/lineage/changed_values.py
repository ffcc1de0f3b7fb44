"""How the values of two records differ: arguments, and artifacts with their contents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any, Final

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.records.past_run import Mention, PastStep
from lucas_storage.refs import ArtifactRef

from .differences import json_values
from .differences.content import content_difference
from .differences.difference import Change, ContentDifference

_CONTENTS: Final = 3
"""Results of one step, and of a run, whose contents are compared."""
_EACH: Final = 50
"""Places in one argument that are told."""
_MOST: Final = 1000
"""Arguments, and results, that are told."""


def returned_differences(storage: ArtifactStore, before: PastStep, after: PastStep) -> Iterator[ContentDifference]:
    """Yield how two small results differ that records have as they travelled; those of artifacts are told elsewhere."""
    ours, theirs = before.returned, after.returned
    if ours is None and theirs is None:
        return
    if _is_inline(ours) and _is_inline(theirs):
        if ours.digest != theirs.digest:
            yield content_difference(storage, ours, theirs)
        return
    found = islice(json_values.changes(ours, theirs), _MOST)
    changes = tuple(each for each in found if not (_is_artifact(each.before) and _is_artifact(each.after)))
    if changes:
        yield ContentDifference(kind="json", changes=changes)


def _is_inline(value: Any) -> bool:
    return type(value) is ArtifactRef and value.inline is not None


def _is_artifact(shown: str | None) -> bool:
    return shown is not None and shown.startswith("ArtifactRef(")


def content_differences(
    storage: ArtifactStore, before: tuple[Mention, ...], after: tuple[Mention, ...]
) -> Iterator[ContentDifference]:
    """Yield how results differ, place by place; of the first few by their contents."""
    compared = 0
    for ours, theirs in islice(zip_longest(before, after), _MOST):
        if ours is not None and theirs is not None and _is_same(ours, theirs):
            continue
        refs = ours.ref if ours else None, theirs.ref if theirs else None
        if refs[0] is None or refs[1] is None:
            yield ContentDifference(
                before=refs[0], after=refs[1], changes=(Change.of("result", _shown(ours), _shown(theirs)),)
            )
        elif compared < _CONTENTS:
            compared += 1
            yield content_difference(storage, refs[0], refs[1])
        else:
            yield ContentDifference(before=refs[0], after=refs[1], error="not compared, after some others")


def _is_same(before: Mention, after: Mention) -> bool:
    if before.ref is None or after.ref is None or not before.ref.digest:
        return before == after
    return (before.ref.digest, before.format) == (after.ref.digest, after.format)


def _shown(mention: Mention | None) -> str | None:
    if mention is None:
        return None
    return f"{mention.format}, {mention.size} bytes" if mention.ref is None else repr(mention.ref)


def argument_changes(
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    ours: dict[str, tuple[Mention, ...]],
    theirs: dict[str, tuple[Mention, ...]],
) -> Iterator[Change]:
    """Yield the arguments that differ, by their values where records have them, else by the artifacts among them."""
    names = dict.fromkeys([*(before or {}), *(after or {}), *ours, *theirs])
    for name in islice(names, _MOST):
        if before is not None and after is not None and (name in before or name in after):
            found = json_values.changes(
                {name: before[name]} if name in before else {}, {name: after[name]} if name in after else {}, ""
            )
            yield from (Change(each.place.lstrip("."), each.before, each.after) for each in islice(found, _EACH))
        else:
            yield from _mentions(name, ours.get(name, ()), theirs.get(name, ()))


def _mentions(name: str, before: tuple[Mention, ...], after: tuple[Mention, ...]) -> Iterator[Change]:
    pairs = enumerate(zip_longest(before, after))
    differing = ((at, pair) for at, pair in pairs if None in pair or not _is_same(*pair))
    for at, (ours, theirs) in islice(differing, _EACH):
        yield Change.of(name if max(len(before), len(after)) == 1 else f"{name}[{at}]", _shown(ours), _shown(theirs))
