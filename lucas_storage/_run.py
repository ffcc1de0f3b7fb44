"""`run`: runs a workflow with inputs and result in storage."""

from __future__ import annotations

import difflib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import current, settings, step_spans
from ._tracebacks import shortened
from .artifacts import scratch
from .engine import adapter, progress
from .executor import StorageExecutor
from .reach.renewal import renew_taken
from .records import run_log
from .records.run_record import RunLog
from .records.step_note import mentioned
from .values import recent_data, wire_form
from .values.loading import incoming
from .values.storing import outgoing
from .values.storing.policy import Fixed, Policy

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(workflow: Any, inputs: Mapping[str, Any] | None = None, *, materialize: bool = True) -> Any:
    """Run a workflow once and return its value.

    A `Path`, and every value that is too large or of a type that an engine cannot carry, is uploaded and enters as a
    reference. No run sees values of an earlier one. Each leaves a record of its steps that ``lucas-storage
    runs`` shows. A workflow without an executor, or with Lucas's own, is run by `StorageExecutor`; any other executor
    is kept.

    Args:
        workflow: A workflow made by ``@workflow``, of genuine Lucas or of the embedded engine.
        inputs: Values by input name.
        materialize: Whether references in the result are replaced by their values; otherwise they are `ArtifactRef`.

    Raises:
        TypeError: `workflow` is no workflow, or an input is missing; nothing was uploaded and no step was started.
        ArtifactError: An input cannot be stored, or the result not be read.
        Exception: Whatever a step raises, as it is.
    """
    current.check_may_run()
    with shortened, recent_data.kept():
        return _run(workflow, inputs, materialize=materialize)


def _run(workflow: Any, inputs: Mapping[str, Any] | None, *, materialize: bool) -> Any:
    if not adapter.is_workflow(workflow):
        raise TypeError(
            f"run takes what @workflow made, not a {type(workflow).__name__}; functions are called by a workflow, "
            "with wf.call"
        )
    # Before anything is uploaded: a missing input is a mistake that needs no server to find.
    graph = adapter.graph_of(workflow)
    given = _with_defaults(inputs or {}, adapter.inputs_of(workflow, graph))
    present, name = settings.resolve(), adapter.name_of(workflow)
    policy = Policy(store=present.store.value, inline_max=present.inline_max.value)
    with (
        # around the log: what that writes belongs to the run
        step_spans.run(name) as span,
        _summary_at_end(resume=present.resume.value) as logs,
        progress.shown(wanted=present.progress.value) as watcher,
        run_log.logged(name, present, watcher) as log,
    ):
        logs.append(log)
        span.set({"lucas.run.id": log.key})
        # Inputs may be generators that use scratch directories; these go as soon as the inputs are stored.
        with scratch.step():
            travelling = outgoing.offload_each(given, Fixed(policy))
        log.begin(travelling)
        renew_taken(mentioned(travelling))
        # The record gets references, so values are materialized only after it was written.
        value = adapter.execute(workflow, graph, travelling, StorageExecutor, prepared=_keeping_references)
        log.end(value)
    return incoming.value_of(value) if materialize else wire_form.with_refs(value)


def _keeping_references(executor: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a factory of the same executors that leaves references in the result, for `run` to record."""

    def make(dag: Any) -> Any:
        made = executor(dag)
        if isinstance(made, StorageExecutor):
            made.keeps_references = True
        return made

    return make


@contextmanager
def _summary_at_end(*, resume: bool) -> Iterator[list[RunLog]]:
    """Report at the end, also of a failed run, how many steps were reused from an earlier one."""
    logs: list[RunLog] = []
    try:
        yield logs
    finally:
        for log in logs:
            logger.info("run %s, %s", log.key, log.summary())
            if resume and log.steps:
                # Not only logged: who resumes a run wants to know what was reused, and few programs configure logging.
                sys.stderr.write(f"lucas-storage: {log.summary()}\n")


def _with_defaults(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs with defaults filled in."""
    missing = [name for name, default in known.items() if default is adapter.REQUIRED and name not in given]
    if missing:
        raise TypeError(_missing(missing, given))
    defaults = {name: default for name, default in known.items() if default is not adapter.REQUIRED}
    return {**defaults, **given}


def _missing(missing: list[str], given: Mapping[str, Any]) -> str:
    close = [match for name in missing for match in difflib.get_close_matches(name, list(given), 1)]
    hint = f"; did you mean it by {close[0]!r}?" if close else ""
    return f"the workflow needs the input {', '.join(map(repr, missing))}, which was not given{hint}"
