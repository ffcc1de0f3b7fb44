"""Past runs and their steps, as records tell them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from lucas_storage.refs import ArtifactRef

StepState: TypeAlias = Literal["running", "succeeded", "failed", "reused", "lost"]
"""Lost is a step that was running in a run of which nothing has been heard since."""


@dataclass(frozen=True, slots=True)
class Mention:
    """An artifact among the inputs or outputs of a step."""

    format: str
    size: int
    """Bytes."""
    ref: ArtifactRef | None
    """None if it travelled within the call."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Artifacts that a step stored within another one."""

    of: str | None
    """The digest of the other one; None if that travelled within the call."""
    refs: tuple[ArtifactRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One of several attempts that a step took."""

    seconds: float
    error: str | None
    """Name of the class of the exception; None of the attempt that succeeded."""
    message: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PastStep:
    """A step that began. What a record does not have is None or empty."""

    key: str
    """Unique in its run; empty in records of early versions."""
    after: tuple[str, ...]
    """Keys of the steps that came before it, as far as the record has them."""
    function: str
    started: float
    """Seconds since 1970."""
    seconds: float
    """How long it took; 0 while it runs."""
    reused: bool
    error: str | None
    """Name of the class of the exception."""
    inputs: dict[str, tuple[Mention, ...]]
    outputs: tuple[Mention, ...]
    state: StepState = "succeeded"
    version: str | None = None
    """The version of the function, which is part of the key of its results."""
    source: ArtifactRef | None = None
    """Text: the source of the function as it was, to read."""
    shipped: ArtifactRef | None = None
    """Signed: the pickle of the function as it was, to run."""
    given: dict[str, Any] | None = None
    """The arguments by parameter as they travelled: JSON data and `ArtifactRef`; None if they were not recorded."""
    withheld: tuple[str, ...] = ()
    """Parameters that were given and are not in `given`, as they may be secret, or are too large."""
    returned: Any = None
    """The result as it travelled, if it is short and no artifact alone; None if it was not recorded."""
    fingerprint: str | None = None
    """That of a longer one, by `result_fingerprint`."""
    message: str | None = None
    """The text of the exception."""
    traceback: str | None = None
    """Where the exception was raised, as text."""
    attempts: tuple[Attempt, ...] = ()
    """Those that it took; empty if the first one was enough."""
    machine: str | None = None
    """The name of the machine that it ran on."""
    inner: tuple[Holding, ...] = ()
    """The artifacts that it stored within others, such as the tables of a list that is stored as a whole."""
    memo: str | None = None
    """The key of the cached result that holds its result: 64 hexadecimal digits."""
    told: str | None = None
    """The name of the record that the process wrote which ran it, if that was not the process of its run."""

    def __repr__(self) -> str:
        state = f"failed with {self.error}" if self.error else self.state
        return f"<step {self.function!r}: {state}, {self.seconds:.2f} s>"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run, ended or not. What a record does not have is None or empty."""

    key: str
    workflow: str
    status: str
    """``succeeded``, ``failed``, ``running``, or ``lost``, if nothing was heard of it for a minute before it was read.

    A run of an early version that was killed stays ``running`` for ever."""
    started: float
    """Seconds since 1970."""
    seconds: float | None
    error: str | None
    parallel: int
    """Steps at the same time, at most."""
    inputs: dict[str, tuple[Mention, ...]]
    outputs: tuple[Mention, ...]
    after: tuple[str, ...]
    """Keys of the steps that made the result, as far as the record has them."""
    steps: tuple[PastStep, ...]
    """In the order in which they began."""
    machine: str | None = None
    """The name of the machine that it was started on."""
    python: str | None = None
    """The version of Python there."""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions by name of the installed packages that were imported there."""
    parameters: dict[str, Any] | None = None
    """The inputs by name as they travelled: JSON data and `ArtifactRef`; None if they were not recorded."""
    withheld: tuple[str, ...] = ()
    """Inputs that were given and are not in `parameters`, as they may be secret, or are too large."""
    message: str | None = None
    """The text of the exception that ended it."""
    heard: float | None = None
    """When something was last heard of it, if it has not ended; seconds since 1970."""


def shown_status(run: PastRun) -> str:
    """Return the status of a run in words, with the class of its error."""
    # Runs of early versions do not tell whether they go on.
    is_unknown = run.status == "running" and run.heard is None
    return "running or killed" if is_unknown else f"{run.status} ({run.error})" if run.error else run.status
