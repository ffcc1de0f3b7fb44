"""Runs and steps as the API tells them. Texts are those of strangers' records, cut to a length that a page can bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from actorc.storage.server.api.json_text import shortened
from lucas_storage.records.past_run import Attempt, Mention, PastRun, PastStep
from lucas_storage.refs import TAG, ArtifactRef

_NAME: Final = 1000
_MESSAGE: Final = 10_000
_DEEPEST: Final = 20
"""Levels of nesting of arguments that are told."""
_ITEMS: Final = 1000
_UNSAFE: Final = 1 << 53
"""The smallest integer that JavaScript does not tell from all others; from here on they are told as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactMention:
    """An artifact among inputs or outputs."""

    format: str
    size: int
    uri: str | None
    """The reference; None if the value travelled within the call."""
    digest: str | None
    filename: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAttempt:
    """One of several attempts of a step."""

    seconds: float
    error: str | None
    message: str | None
    traceback: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """A step that began. What its record does not have is null or empty."""

    key: str
    function: str
    state: str
    """running, succeeded, failed, reused or lost."""
    started: datetime
    seconds: float
    after: tuple[str, ...]
    inputs: dict[str, tuple[ArtifactMention, ...]]
    outputs: tuple[ArtifactMention, ...]
    version: str | None
    source: str | None
    """Reference of a text: the source of the function as it was."""
    arguments: dict[str, Any] | None
    withheld: tuple[str, ...]
    error: str | None
    message: str | None
    traceback: str | None
    attempts: tuple[StepAttempt, ...]
    machine: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run in a list."""

    id: str
    workflow: str
    status: str
    """succeeded, failed, running, or lost, if nothing was heard of it for a minute."""
    started: datetime
    seconds: float | None
    error: str | None
    message: str | None
    machine: str | None
    step_counts: dict[str, int]
    """Number of steps in each state."""
    output_size: int
    """Bytes of all results of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Runs, the latest first."""

    runs: tuple[RunSummary, ...]
    next_page_token: str
    """Empty on the last page. A page may have few runs, or none, though others follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail(RunSummary):
    """A run with its steps, in the order in which they began."""

    parallel: int
    inputs: dict[str, tuple[ArtifactMention, ...]]
    outputs: tuple[ArtifactMention, ...]
    python: str | None
    packages: dict[str, str]
    parameters: dict[str, Any] | None
    withheld: tuple[str, ...]
    steps: tuple[RunStep, ...]


def summary(run: PastRun) -> RunSummary:
    """Return a run as a list tells it."""
    return RunSummary(**_head(run))


def detail(run: PastRun) -> RunDetail:
    """Return a run with its steps."""
    return RunDetail(
        **_head(run),
        parallel=run.parallel,
        inputs=_by_name(run.inputs),
        outputs=_mentions(run.outputs),
        python=_cut(run.python),
        packages={name_of(name): name_of(version) for name, version in run.packages.items()},
        parameters=_values(run.parameters),
        withheld=tuple(map(name_of, run.withheld)),
        steps=tuple(map(step, run.steps)),
    )


def step(past: PastStep) -> RunStep:
    """Return a step."""
    return RunStep(
        key=name_of(past.key),
        function=name_of(past.function),
        state=past.state,
        started=moment(past.started),
        seconds=past.seconds,
        after=tuple(map(name_of, past.after)),
        inputs=_by_name(past.inputs),
        outputs=_mentions(past.outputs),
        version=_cut(past.version),
        source=None if past.source is None else uri_of(past.source),
        arguments=_values(past.given),
        withheld=tuple(map(name_of, past.withheld)),
        error=_cut(past.error),
        message=_long(past.message),
        traceback=_long(past.traceback),
        attempts=tuple(map(_attempt, past.attempts)),
        machine=_cut(past.machine),
    )


def _head(run: PastRun) -> dict[str, Any]:
    return {
        "id": run.key,
        "workflow": name_of(run.workflow),
        "status": name_of(run.status),
        "started": moment(run.started),
        "seconds": run.seconds,
        "error": _cut(run.error),
        "message": _long(run.message),
        "machine": _cut(run.machine),
        "step_counts": dict(Counter(each.state for each in run.steps)),
        "output_size": sum(mention.size for each in run.steps for mention in each.outputs),
    }


def _attempt(attempt: Attempt) -> StepAttempt:
    return StepAttempt(
        seconds=attempt.seconds,
        error=_cut(attempt.error),
        message=_long(attempt.message),
        traceback=_long(attempt.traceback),
    )


def _by_name(mentions: dict[str, tuple[Mention, ...]]) -> dict[str, tuple[ArtifactMention, ...]]:
    return {name_of(name): _mentions(found) for name, found in mentions.items()}


def _mentions(mentions: Iterable[Mention]) -> tuple[ArtifactMention, ...]:
    return tuple(map(mention_of, mentions))


def mention_of(mention: Mention) -> ArtifactMention:
    """Return an artifact among inputs or outputs."""
    ref = mention.ref
    return ArtifactMention(
        format=name_of(mention.format),
        size=mention.size,
        uri=None if ref is None else uri_of(ref),
        digest=None if ref is None else ref.digest,
        filename=None if ref is None else ref.filename,
    )


def uri_of(ref: ArtifactRef) -> str:
    """Return a reference as text, without its signature: who holds that, lets others load a pickle."""
    return shortened(ref.signed(None).uri)


def _values(given: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if given is None else {name_of(name): _plain(value, 0) for name, value in given.items()}


def _plain(value: Any, depth: int) -> Any:
    """Return JSON data with references as they travel, and long parts cut."""
    if isinstance(value, (dict, list, tuple)) and depth == _DEEPEST:
        return "…"
    match {TAG: uri_of(value)} if isinstance(value, ArtifactRef) else value:
        case dict() as fields:
            return {name_of(str(name)): _plain(each, depth + 1) for name, each in list(fields.items())[:_ITEMS]}
        case list() | tuple():
            return [_plain(each, depth + 1) for each in value[:_ITEMS]]
        case int() if abs(value) >= _UNSAFE:
            return str(value)[:_NAME]
        case None | int() | float():
            return value
        case _:
            return shortened(value if isinstance(value, str) else repr(value), _MESSAGE)


def moment(seconds: float) -> datetime:
    """Return a moment, which is in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def name_of(text: str) -> str:
    """Return a name, cut to a length that a page can bear."""
    return shortened(text, _NAME)


def _cut(text: str | None) -> str | None:
    return None if text is None else name_of(text)


def _long(text: str | None) -> str | None:
    return None if text is None else shortened(text, _MESSAGE)
