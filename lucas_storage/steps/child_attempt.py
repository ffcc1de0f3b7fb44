"""One attempt at a step, on its way to a process of its own and there."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self

from actorc.tracing import spans
from actorc.tracing.spans import Headers
from lucas_storage import current
from lucas_storage.artifacts import scratch
from lucas_storage.artifacts.store import store_for
from lucas_storage.child_process.asking import ask
from lucas_storage.engine import adapter
from lucas_storage.records import run_log
from lucas_storage.records.distant_steps import ChildLog
from lucas_storage.records.step_note import RecordedValues
from lucas_storage.settings import context_overrides, storage_context
from lucas_storage.values.storing import inner_artifacts
from lucas_storage.values.storing.inner_artifacts import Inner

from .attempts import AttemptUnderWay
from .distant_runtime import DistantRuntime

TELL: Final = "tell a step"
"""What the process of an attempt asks to record a step that the attempt has called."""


class _Step(Protocol):
    def attempt_alone(
        self, attempt: AttemptUnderWay, runtime: Any, given: Mapping[str, Any] | None, *, is_nested: bool
    ) -> Any: ...


@dataclass(slots=True)
class ChildResult:
    """The result of an attempt, on its way back."""

    out: Any
    """As it travels."""
    inner: list[Inner]
    """What was stored within other artifacts, for the record of the step, which the parent writes."""

    def noted(self) -> Any:
        """Return the result as it travels, when the rest has been noted here."""
        for outer, refs in self.inner:
            inner_artifacts.note(outer, refs)
        return self.out


@dataclass(slots=True, kw_only=True)
class ChildAttempt:
    """An attempt as it travels: a `lucas_storage.child_process.call.Call`. For one thread."""

    shim: bytes
    """The decorated function, pickled."""
    given: Mapping[str, Any] | None
    """The arguments by name; None for a function that takes a runtime."""
    input: Any
    """The input of the runtime."""
    is_nested: bool
    run: str | None
    workflow: str | None
    has_embedded: bool
    """Whether `lucas` is the embedded engine."""
    contexts: list[dict[str, Any]]
    """The settings of each `storage_context`. They may be secret: this goes to a child of this process alone."""
    folder: Path
    """Takes all scratch directories, for the parent to remove whatever becomes of the child."""
    recorded: tuple[str, RecordedValues] | None
    """Key of the step in the record of its run, and how far values are recorded there; None without a run."""
    attempt: AttemptUnderWay
    trace: Headers = ()
    """The span that it belongs to."""
    step: _Step | None = None

    @classmethod
    def here(
        cls,
        shim: bytes,
        given: Mapping[str, Any] | None,
        given_input: Any,
        folder: Path,
        recorded: tuple[str, RecordedValues] | None,
    ) -> Self:
        """Return an attempt at the present step in the surroundings of this point."""
        scope = current.step_scope()
        return cls(
            shim=shim,
            given=given,
            input=given_input,
            is_nested=scope is not None and scope.is_nested,
            run=current.run_id(),
            workflow=adapter.running_workflow(),
            has_embedded=getattr(sys.modules.get("lucas"), "__name__", "lucas") != "lucas",
            contexts=context_overrides(),
            folder=folder,
            recorded=recorded,
            attempt=AttemptUnderWay(),
            trace=spans.active_span().headers,
        )

    def prepare(self) -> None:
        """Load the function and the modules that it needs."""
        scratch.all_within(self.folder)
        if self.has_embedded:
            from lucas_storage import embedded  # noqa: PLC0415  # most functions need no engine

            embedded.install()
        self.step = pickle.loads(self.shim).opened()  # noqa: S301  # of our own parent

    def __call__(self) -> ChildResult:
        """Return the result of the step."""
        assert self.step is not None, "prepare it first"
        inner: list[Inner] = []
        runtime = DistantRuntime(self.input) if self.given is None else None
        with ExitStack() as stack:
            stack.enter_context(spans.within(dict(self.trace)))
            for overrides in self.contexts:
                stack.enter_context(storage_context(**overrides))
            if self.run is not None:
                stack.enter_context(current.run(self.run))
            if self.workflow is not None:
                stack.enter_context(adapter.within(self.workflow))
            if self.recorded is not None:
                log = ChildLog(*self.recorded, store_for(None), partial(ask, TELL))
                stack.enter_context(run_log.told_to(log))
            if self.run is not None:
                stack.enter_context(inner_artifacts.collected(inner))
            out = self.step.attempt_alone(self.attempt, runtime, self.given, is_nested=self.is_nested)
        return ChildResult(out, inner)

    def is_repeated_after(self, error: BaseException) -> bool:
        """Return whether another attempt may end otherwise."""
        return self.step is not None and self.attempt.is_repeated_after(error)
