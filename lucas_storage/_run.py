"""`run`: a workflow with storage at its edges."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from . import _lucas, boundary, scratch
from .executor import StorageExecutor
from .outlet import NO_OPTIONS, policy_of

__all__ = ["run"]


def run(workflow: Any, inputs: Mapping[str, Any] | None = None, *, materialize: bool = True) -> Any:
    """Run a workflow once and return its value.

    A `Path`, and every value too big or of no use to an engine, is uploaded and enters as a reference. Each run is a
    fresh one. A workflow without an executor, or with Lucas's own, is run by `StorageExecutor`; any other is kept.

    Args:
        workflow: What ``@workflow`` made, of genuine Lucas or of the embedded engine.
        inputs: Values by input name.
        materialize: Whether references in the result are replaced by their values; otherwise they are `ArtifactRef`.

    Raises:
        TypeError: `workflow` is none, or an input is missing; nothing was uploaded and no step was started.
        ArtifactError: An input cannot be stored, or the result not be read.
        Exception: Whatever a step raises, as it is.
    """
    if not _lucas.is_workflow(workflow):
        raise TypeError(
            f"run takes what @workflow made, not a {type(workflow).__name__}; functions are called by a workflow, "
            "with wf.call"
        )
    given = _completed(inputs or {}, _lucas.inputs_of(workflow))
    policy = policy_of(NO_OPTIONS)
    with scratch.step():
        travelling = boundary.offload_each(given, lambda: policy)
    value = _lucas.execute(workflow, travelling, StorageExecutor)
    return boundary.value_of(value) if materialize else boundary.refs_in(value)


def _completed(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs with defaults filled in."""
    missing = [name for name, default in known.items() if default is _lucas.REQUIRED and name not in given]
    if missing:
        raise TypeError(_missing(missing, given))
    defaults = {name: default for name, default in known.items() if default is not _lucas.REQUIRED}
    return {**defaults, **given}


def _missing(missing: list[str], given: Mapping[str, Any]) -> str:
    close = [match for name in missing for match in difflib.get_close_matches(name, list(given), 1)]
    hint = f"; did you mean it by {close[0]!r}?" if close else ""
    return f"the workflow needs the input {', '.join(map(repr, missing))}, which was not given{hint}"
