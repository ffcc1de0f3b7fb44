"""What is going on around this point of the program: the run of a workflow, and the step within it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScope:
    """One call of a decorated function."""

    function: str
    key: Callable[[], str]
    """Returns what tells this call from others: 64 hexadecimal digits over function, version and inputs.

    Raises `CacheKeyError` if an input has no canonical form."""
    is_nested: bool = False
    """Whether another step called it, and waits for it."""


_run: ContextVar[str | None] = ContextVar("lucas_storage_run", default=None)
_step: ContextVar[StepScope | None] = ContextVar("lucas_storage_step", default=None)


def run_id() -> str | None:
    """Return the id of the run this is part of; steps see it, whatever thread they run on."""
    return _run.get()


def step_scope() -> StepScope | None:
    """Return the step this is part of."""
    return _step.get()


@contextmanager
def run(identifier: str) -> Iterator[None]:
    """Make the body part of a run."""
    token = _run.set(identifier)
    try:
        yield
    finally:
        _run.reset(token)


@contextmanager
def step(scope: StepScope) -> Iterator[None]:
    """Make the body part of a step."""
    token = _step.set(scope)
    try:
        yield
    finally:
        _step.reset(token)
