"""The current run of a workflow and the current step, as context variables: each thread and task has its own.

So is whether a script is asked for its definitions only, and must not run its workflow.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass

from actorc.storage.context_variables import bound


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScope:
    """One call of a decorated function."""

    function: str
    key: Callable[[], str]
    """Returns the key of this call: 64 hexadecimal digits over function, version and inputs.

    Raises `CacheKeyError` if an input has no canonical form."""
    is_nested: bool = False
    """Whether another step called it, and waits for it."""


class WorkflowReachedError(BaseException):
    """A script that is asked for its definitions only has come to where it runs its workflow; no defect of anybody."""


_defines: ContextVar[bool] = ContextVar("lucas_storage_defines", default=False)
_run: ContextVar[str | None] = ContextVar("lucas_storage_run", default=None)
_step: ContextVar[StepScope | None] = ContextVar("lucas_storage_step", default=None)


def run_id() -> str | None:
    """Return the id of the current run, or None; steps see it on every thread, since the scheduler copies contexts."""
    return _run.get()


def step_scope() -> StepScope | None:
    """Return the current step, or None."""
    return _step.get()


def run(identifier: str) -> AbstractContextManager[None]:
    """Make the body part of a run."""
    return bound(_run, identifier)


def step(scope: StepScope) -> AbstractContextManager[None]:
    """Make the body part of a step."""
    return bound(_step, scope)


def defining() -> AbstractContextManager[None]:
    """Let code in the body define its functions and workflows, and run none."""
    return bound(_defines, True)  # noqa: FBT003  # the value of a variable, and no flag


def check_may_run() -> None:
    """Check that workflows may be run here.

    Raises:
        WorkflowReachedError: Only definitions are asked for.
    """
    if _defines.get():
        raise WorkflowReachedError
