"""Spans of runs and of steps: blocks that are told to OpenTelemetry, where the program has set it up.

An error is told by its class. Its text may hold what must not leave the storage, and is in the record of the run.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final, Self

from actorc.tracing import spans
from actorc.tracing.spans import NO_SPAN, Attributes, Kind, Span

STATE: Final = "lucas.state"
"""Attribute: ``succeeded``, ``reused`` or ``failed``."""


class Block(AbstractContextManager["Block"]):
    """A block that is a span, and the active one within itself; for one use."""

    __slots__ = ("_active", "_span", "_state")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._state = "succeeded"

    def reused(self) -> None:
        """Tell that an earlier result took the place of a call."""
        self._state = "reused"

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        self._span.set(attributes)

    def __enter__(self) -> Self:
        self._active = self._span.active()
        self._active.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._active.__exit__(None, None, None)
        ended(self._span, kind, self._state)


class _Untraced(Block):
    """A block where nothing is traced; all share one."""

    def reused(self) -> None:
        """Do nothing."""

    def set(self, attributes: Attributes) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


_UNTRACED: Final = _Untraced(NO_SPAN)


def run(workflow: str) -> Block:
    """Return a block that is a run of a workflow."""
    return (
        Block(spans.started(f"run {workflow}", attributes={"lucas.workflow": workflow})) if spans.is_on() else _UNTRACED
    )


def step(function: str) -> Block:
    """Return a block that is a call of a decorated function."""
    return (
        Block(spans.started(f"step {function}", attributes={"lucas.function": function}))
        if spans.is_on()
        else _UNTRACED
    )


def distant_step(function: str) -> Span:
    """Return the span of a step that another process runs, as the process of the run sees it."""
    return spans.started(f"call {function}", Kind.CLIENT, {"lucas.function": function})


def ended(span: Span, error: type[BaseException] | None, state: str = "succeeded") -> None:
    """End the span of a run or of a step, which failed if there is the class of an error."""
    span.set({STATE: state if error is None else "failed"})
    span.end("" if error is None else error.__name__)


def attempted(number: int, seconds: float, error: BaseException | None) -> None:
    """Tell of one of several attempts at the present step."""
    if spans.is_on():
        about = {"lucas.attempt": number, "lucas.seconds": seconds}
        kind = "" if error is None else type(error).__name__
        spans.active_span().add_event("attempt", {**about, "error.type": kind})
