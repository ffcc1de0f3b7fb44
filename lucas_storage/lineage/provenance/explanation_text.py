"""Explanations as trees of lines: for terminals, for prompts, and as a part of pages. Pure.

All names in them are of strangers: each is cut, and what cannot be seen in it is shown as escapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from actorc.storage.units import shown_size
from lucas_storage.display.markup import visible
from lucas_storage.gc.keepers import Keeper
from lucas_storage.lineage.node_text import shown_seconds
from lucas_storage.records.index.run_index import IndexEntry, Role
from lucas_storage.records.past_run import Mention
from lucas_storage.refs import ArtifactRef

from .explanation import Consequences, Explanation, RunsOf
from .kept_by import Keeping
from .trace import Trace, TracedInput, TracedStep

MOST: Final = 5
"""Runs, keepers and inputs of one step that are shown, unless all are asked for."""
_NAME: Final = 80
"""Characters of a name."""
_VERSION: Final = 8
"""Characters of the digest of a version."""
_DEPTH: Final = 60
"""Steps of a chain that are shown."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A line with the lines below it."""

    text: str
    below: tuple[Branch, ...] = ()


def explanation_tree(found: Explanation, most: int = MOST) -> Branch:
    """Return what made an artifact, who read it, and what keeps it."""
    parts = (
        _made(found, most),
        _runs("made again by", _others(found), most, "made"),
        _runs("reused by", found.reused, most, "reused"),
        _runs("read by", found.read, most, "used"),
        _runs("an input of", found.given, most),
        _kept(found.keeping, most),
    )
    return Branch(shown_ref(found.ref), tuple(part for part in parts if part is not None))


def consequences_tree(found: Consequences, most: int = MOST) -> Branch:
    """Return what was made from an artifact."""
    below = tuple(_Tree(found.trace, most).downward())
    note = () if below else (Branch("no step of a recorded run took it"),)
    return Branch(shown_ref(found.ref), (*below, *note, *_cut(found.trace)))


def lines(tree: Branch) -> Iterator[str]:
    """Yield the lines of a tree, with its branches drawn."""
    yield tree.text
    # Without recursion: a trace may be as deep as a record says.
    waiting = [(branch, "", branch is tree.below[-1]) for branch in reversed(tree.below)]
    while waiting:
        branch, before, is_last = waiting.pop()
        yield f"{before}{'└── ' if is_last else '├── '}{branch.text}"
        indent = f"{before}{'    ' if is_last else '│   '}"
        waiting += [(each, indent, each is branch.below[-1]) for each in reversed(branch.below)]


def shown_ref(ref: ArtifactRef) -> str:
    """Return a reference in a few characters."""
    digest = ref.digest.removeprefix("sha256:")[:12] if ref.digest else visible(f"{ref.bucket}/{ref.key}", _NAME)
    name = f" {visible(ref.filename, _NAME)}" if ref.filename else ""
    return f"{ref.format} {shown_size(ref.size)} {digest}{name}"


def shown_moment(seconds: float) -> str:
    """Return a moment to the second, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


class _Tree:
    """Branches of a trace, each step in full once."""

    def __init__(self, trace: Trace, most: int) -> None:
        self._steps = {step.id: step for step in trace.steps}
        self._nearest = trace.nearest
        self._most = most
        self._shown: set[str] = set()

    def upward(self) -> Iterator[Branch]:
        for identifier in self._nearest:
            step = self._steps.get(identifier)
            if step is not None:
                yield self._with_inputs(step, "made by", None, _DEPTH)

    def _with_inputs(self, step: TracedStep, how: str, beside: str | None, depth: int) -> Branch:
        if step.id in self._shown or not depth:
            return Branch(f"{how} {_name(step)}, {'as above' if depth else 'and others before it'}")
        self._shown.add(step.id)
        taken = step.inputs[: self._most]
        below = [self._input(each, step.run, depth - 1) for each in taken if each.mention.ref is not None]
        inline = [each for each in taken if each.mention.ref is None]
        below += [Branch(f"{visible(each.name, _NAME)}: {_mention(each.mention)}") for each in inline]
        if len(step.inputs) > len(taken):
            below.append(Branch(f"and {len(step.inputs) - len(taken)} more inputs"))
        makers = {each.maker for each in step.inputs}
        named = (self._steps.get(each) for each in step.after if each not in makers)
        below += [self._with_inputs(each, "after", step.run, depth - 1) for each in named if each is not None]
        return Branch(f"{how} {_step(step, beside)}", tuple(below))

    def _input(self, taken: TracedInput, beside: str, depth: int) -> Branch:
        text = f"{visible(taken.name, _NAME)}: {_mention(taken.mention)}"
        maker = self._steps.get(taken.maker) if taken.maker else None
        return Branch(text) if maker is None else Branch(text, (self._with_inputs(maker, "made by", beside, depth),))

    def downward(self) -> Iterator[Branch]:
        followers: dict[str, list[TracedStep]] = {}
        for step in self._steps.values():
            for before in step.after:
                followers.setdefault(before, []).append(step)
        nearest = [self._steps[each] for each in self._nearest if each in self._steps]
        yield from self._followed(nearest, followers, None, _DEPTH)

    def _followed(
        self, steps: list[TracedStep], followers: dict[str, list[TracedStep]], beside: str | None, depth: int
    ) -> Iterator[Branch]:
        for step in steps[: self._most]:
            if step.id in self._shown or not depth:
                yield Branch(f"taken by {_name(step)}, {'as above' if depth else 'and others behind it'}")
                continue
            self._shown.add(step.id)
            made = tuple(Branch(f"made {_mention(each)}") for each in step.step.outputs[: self._most])
            behind = tuple(self._followed(followers.get(step.id, []), followers, step.run, depth - 1))
            yield Branch(f"taken by {_step(step, beside)}", (*made, *behind))
        if len(steps) > self._most:
            yield Branch(f"and {len(steps) - self._most} more steps")


def _made(found: Explanation, most: int) -> Branch:
    (branch, *_) = [*_Tree(found.trace, most).upward(), Branch("no recorded run made it")]
    return Branch(branch.text, (*branch.below, *_cut(found.trace)))


def _cut(trace: Trace) -> Iterator[Branch]:
    if not trace.is_complete:
        yield Branch(f"and more than these {len(trace.steps)} steps")


def _step(traced: TracedStep, beside: str | None) -> str:
    """Return the words for a step; those about its run only if it is another one than that of the step beside it."""
    step = traced.step
    version = f" (version {_version(step.version)})" if step.version else ""
    run = f", in run {traced.run} of {visible(traced.workflow, _NAME)}, {shown_moment(step.started)}"
    return f"{_name(traced)}{version}{_ended(traced)}{'' if traced.run == beside else run}"


def _ended(traced: TracedStep) -> str:
    step = traced.step
    if not traced.is_recorded:
        return ", of which no record is left"
    if step.state in ("running", "lost"):
        return f", {step.state}"
    how = f"failed with {visible(step.error, _NAME)}" if step.error else step.state
    return f", {shown_seconds(step.seconds)}{'' if step.state == 'succeeded' else f', {how}'}"


def _version(version: str) -> str:
    """Return a version as the user gave it, or the beginning of the digest that stands for the code."""
    kind, _, rest = version.partition(":")
    return visible(rest[:_VERSION]) if kind == "reached" else visible(rest or version, _NAME)


def _name(traced: TracedStep) -> str:
    return visible(traced.step.function, _NAME)


def _mention(mention: Mention) -> str:
    if mention.ref is None:
        return f"{visible(mention.format, _NAME)} {shown_size(mention.size)} within the call"
    return shown_ref(mention.ref)


def _others(found: Explanation) -> RunsOf:
    """Return the runs that made an artifact but that of the tree."""
    shown = {step.run for step in found.trace.steps if step.id in found.trace.nearest}
    latest = tuple(entry for entry in found.made.latest if entry.run not in shown)
    return replace(found.made, count=found.made.count - len(shown), latest=latest)


def _runs(what: str, runs: RunsOf, most: int, role: Role | None = None) -> Branch | None:
    if runs.count < 1:
        return None
    shown = [Branch(_entry(entry, role)) for entry in runs.latest[:most]]
    more = [Branch(f"and {runs.count - len(shown)} more")] if runs.count > len(shown) else []
    number = f"{runs.count} run{'' if runs.count == 1 else 's'}{' or more' if runs.has_more else ''}"
    return Branch(f"{what} {number}", (*shown, *more))


def _entry(entry: IndexEntry, role: Role | None) -> str:
    names = dict.fromkeys(visible(use.function, _NAME) for use in entry.steps if use.role == role)
    functions = f"{', '.join(names)} in " if names else ""
    return f"{functions}run {entry.run} of {visible(entry.workflow, _NAME)}, {shown_moment(entry.started)}"


def _kept(found: Keeping, most: int) -> Branch:
    if found.stored_at is None:
        return Branch("it is not in the store any more")
    if not found.is_collected:
        return Branch("no artifact of the bucket that is collected, so no collection removes it")
    shown = [Branch(_keeper(keeper)) for keeper in found.keepers[:most]]
    more = [Branch(f"and {len(found.keepers) - most} more")] if len(found.keepers) > most else []
    return Branch(_going(found), (*shown, *more))


def _going(found: Keeping) -> str:
    if found.removable_from is None:
        return "kept for ever by"
    moment = shown_moment(found.removable_from)
    if found.keepers:
        return f"kept until {moment} by"
    stored = f"stored {found.stored_at:%Y-%m-%d %H:%M:%S}"
    if found.is_marked:
        return f"kept by nothing, {stored}, and marked; the next 'gc --delete' after {moment} removes it"
    return f"kept by nothing, {stored}; 'gc --delete' after {moment} marks it, and the next one removes it"


def _keeper(keeper: Keeper) -> str:
    until = "" if keeper.until is None else f", until {shown_moment(keeper.until)}"
    through = f" through {visible(keeper.through)}" if keeper.through else ""
    return f"{visible(keeper.words)}{through}{until}"
