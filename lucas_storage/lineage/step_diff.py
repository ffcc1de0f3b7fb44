"""How one step differs in two runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal, TypeAlias

from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import ArtifactError, NotFoundError
from lucas_storage.preview_data import cut
from lucas_storage.previews.bounded_file import bounded
from lucas_storage.records.past_run import PastStep
from lucas_storage.refs import ArtifactRef

from .changed_values import argument_changes, content_differences, returned_differences
from .differences.difference import Change, ContentDifference
from .source_diff import source_diff
from .step_matching import Pair, are_same_inputs, is_same_result

How: TypeAlias = Literal["result", "version", "inputs", "state", "name", "added", "removed"]
"""The first of these that differs: what a step returned though its inputs are equal, then the others."""

_VERSION: Final = 20
"""Characters of the version of a function that are told."""
_SOURCE: Final = 1 << 20
"""Bytes of the source of a function that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDifference:
    """A step that is another in two runs, or is in one of them only."""

    function: str
    """Its name in the latter run, if it is there."""
    how: How
    before: str | None
    """The key of the step in the former run; None if it is not there."""
    after: str | None
    inputs: tuple[Change, ...] = ()
    """Arguments that differ, by parameter and place."""
    facts: tuple[Change, ...] = ()
    """Name, state, error, version of the function and machine, as far as they differ."""
    seconds: tuple[float | None, float | None] = (None, None)
    sizes: tuple[int | None, int | None] = (None, None)
    """Bytes of the results."""
    source: tuple[str, ...] = ()
    """The lines of the function that differ, as a unified diff. Only of the first step that differs, and so below."""
    results: tuple[ContentDifference, ...] = ()
    """How the contents of its results differ."""


def of_pair(before: PastStep | None, after: PastStep | None, *, is_origin: bool) -> StepDifference | None:
    """Return how a step differs in two runs; None if it is the same in both.

    Args:
        before: The step of the former run.
        after: That of the latter.
        is_origin: Whether its result must differ, though no record has it.
    """
    if before is None or after is None:
        return _alone(before, after)
    same_inputs = are_same_inputs(before, after)
    same_result = is_same_result(before, after) and not is_origin
    facts = tuple(_facts_of_steps(before, after))
    how = _how(facts, same_inputs=same_inputs, same_result=same_result)
    if how is None:
        return None
    return StepDifference(
        function=cut(after.function),
        how=how,
        before=cut(before.key),
        after=cut(after.key),
        inputs=() if same_inputs else tuple(argument_changes(before.given, after.given, before.inputs, after.inputs)),
        facts=facts,
        seconds=(before.seconds, after.seconds),
        sizes=(_size(before), _size(after)),
    )


def _alone(before: PastStep | None, after: PastStep | None) -> StepDifference:
    step = after or before
    assert step is not None
    return StepDifference(
        function=cut(step.function),
        how="removed" if after is None else "added",
        before=None if before is None else cut(before.key),
        after=None if after is None else cut(after.key),
        seconds=(before.seconds if before else None, after.seconds if after else None),
        sizes=(_size(before) if before else None, _size(after) if after else None),
    )


def _how(facts: tuple[Change, ...], *, same_inputs: bool, same_result: bool) -> How | None:
    named = {fact.place for fact in facts}
    if same_inputs and not same_result and "state" not in named:
        return "result"
    if not same_inputs or not same_result:
        return "inputs" if not same_inputs else "state"
    if "state" in named or "error" in named:
        return "state"
    if "version" in named:
        return "version"
    return "name" if "function" in named else None


def _facts_of_steps(before: PastStep, after: PastStep) -> Iterator[Change]:
    if before.function != after.function:
        yield Change.of("function", before.function, after.function)
    # A result that was reused is the same result.
    ours, theirs = ("succeeded" if step.state == "reused" else step.state for step in (before, after))
    if ours != theirs:
        yield Change.of("state", ours, theirs)
    for name in ("error", "message", "version"):
        pair = getattr(before, name), getattr(after, name)
        # Records of early versions have no version of a function.
        if pair[0] != pair[1] and (name != "version" or None not in pair):
            yield Change.of(name, *pair) if name != "version" else Change.of(name, *map(_short, pair))
    if before.machine and after.machine and before.machine != after.machine:
        yield Change.of("machine", before.machine, after.machine)


def _short(version: str | None) -> str:
    """Return the beginning of a version, which tells two of them apart."""
    return cut(str(version), _VERSION)


def silent_origins(pairs: list[Pair]) -> set[int]:
    """Return the numbers of pairs whose result no record has, and must differ: a step that took it was given another.

    A small result travels within the graph, and its step's record tells neither its value nor its digest.
    """
    places = {after.key: at for at, (_, after) in enumerate(pairs) if after is not None and after.key}
    same = [None not in pair and _are_equal(pair) for pair in pairs]
    found: set[int] = set()
    for at, (before, after) in enumerate(pairs):
        if same[at] or before is None or after is None or are_same_inputs(before, after):
            continue
        makers = [places[key] for key in after.after if key in places]
        if makers and all(same[maker] for maker in makers):
            found.update(maker for maker in makers if _tells_nothing(pairs[maker][1]))
    return found


def _tells_nothing(step: PastStep | None) -> bool:
    is_known = step is not None and not (step.returned is None and step.fingerprint is None)
    return step is not None and not is_known and all(mention.ref is None for mention in step.outputs)


def _are_equal(pair: Pair) -> bool:
    before, after = pair
    assert before is not None
    assert after is not None
    return are_same_inputs(before, after) and is_same_result(before, after)


def explained(
    storage: ArtifactStore, found: StepDifference, before: PastStep | None, after: PastStep | None
) -> StepDifference:
    """Return the difference of a step with the lines of its source and the contents of its results."""
    assert before is not None
    assert after is not None
    source = _source_lines(storage, before.source, after.source)
    if found.how == "state":  # one of them has no result
        return replace(found, source=source)
    results = returned_differences(storage, before, after), content_differences(storage, before.outputs, after.outputs)
    return replace(found, source=source, results=tuple(chain(*results)))


def _source_lines(storage: ArtifactStore, before: ArtifactRef | None, after: ArtifactRef | None) -> tuple[str, ...]:
    if before is None or after is None or before.digest == after.digest:
        return ()
    texts: list[str] = []
    for ref in (before, after):
        try:
            with bounded(storage.ranges(ref)) as file:
                texts.append(file.read(_SOURCE).decode(errors="replace"))
        except (ArtifactError, NotFoundError) as error:
            return (f"the source is not shown, {error.message}",)
    return source_diff(*texts)


def _size(step: PastStep) -> int:
    return sum(mention.size for mention in step.outputs)
