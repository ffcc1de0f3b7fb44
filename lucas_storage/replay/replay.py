"""Runs one step of a past run again, alone, in this process, and compares its result with the recorded one."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

from actorc.storage.errors import InvalidParameterError
from lucas_storage import settings
from lucas_storage.artifacts import scratch
from lucas_storage.display.markup import LONG, visible
from lucas_storage.embedded.runtime import LocalOnceRuntime
from lucas_storage.errors import UnsupportedError
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.shipping.shim import Shim
from lucas_storage.steps.attempt_policy import AttemptPolicy
from lucas_storage.steps.contract import Contract, contract_of_shim
from lucas_storage.steps.function_version import FunctionVersion
from lucas_storage.steps.step import Step
from lucas_storage.storage import handles, storage_for
from lucas_storage.values import wire_form

from .aside import Aside
from .called_functions import Handlers, handlers
from .comparison import PICKLES, Explained, differences, is_known

Verdict: TypeAlias = Literal["identical", "different", "unknown"]
"""Unknown: the record does not have a result, or not all of it."""

_SHOWN: Final = 5
"""Packages of other versions that are named."""
_PACKAGES: Final = 1000
"""Packages whose versions are compared."""
_NAME: Final = 100
"""Characters of a name or a version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The outcome of a step that was run again and raised nothing."""

    run: str
    """Id of the run."""
    step: PastStep
    """The step as it was recorded."""
    verdict: Verdict
    differences: tuple[str, ...]
    """In words."""
    causes: tuple[str, ...]
    """What is not as it was, in words: versions of Python, of packages, and of the function."""

    @property
    def is_identical(self) -> bool:
        """Whether the result is the same, bit for bit."""
        return self.verdict == "identical"

    def __str__(self) -> str:
        name = visible(self.step.function)
        head = f"{name}: {self.verdict}"
        if self.step.error is not None:
            head = f"{name}: succeeded, and failed with {visible(self.step.error)} in the run"
        elif self.step.state in ("running", "lost"):
            head = f"{name}: succeeded, and had not ended in the run"
        elif self.verdict == "unknown":
            head += ", since the record does not have the result"
        return "\n".join([head, *(f"  {visible(line, LONG)}" for line in (*self.differences, *self.causes))])


def replay(
    run: PastRun,
    step: PastStep,
    function: Shim,
    changed: Mapping[str, Any] | None = None,
    *,
    today: bool = False,
    failed: Callable[[BaseException], None] = lambda _: None,
    explained: Explained = lambda *_: (),
    whole_process: bool = False,
) -> Replay:
    """Run one step again, and compare what it returns.

    Nothing is left in any store: no record, cached result, name or artifact. Caching, retries and time limits of the
    step do not apply; functions that it calls are as ever. It gets its inputs as recorded, each verified by its digest.

    Args:
        run: The run.
        step: The step.
        function: Its decorated function, as it was or as it is.
        changed: Values by parameter in place of the recorded ones.
        today: Whether functions that a step in rt style calls by name are those of this process first, and not those
            of the run.
        failed: Called with the error of the step, while what it wrote, and its scratch directories, can still be read.
        explained: Tells how two artifacts differ; the result is gone from the store afterwards.
        whole_process: Whether this process does nothing else, so that threads that the step starts without its context
            leave nothing in the store either.

    Raises:
        UnsupportedError: The record does not have all inputs.
        InvalidParameterError: `changed` names no parameter.
        ArtifactError: An input is gone, damaged, or an unsigned pickle.
        Exception: Whatever the function raises, as it is, with all frames.
    """
    given = inputs_of(step, changed or {})
    called = _Alone(function, lambda: handlers(run, today=today))
    with (
        Aside() as aside,
        scratch.kept(),
        settings.storage_context(resume=False),
        handles(aside.handle, whole_process=whole_process),
    ):
        handle = storage_for()  # here, since a thread without this context would make one of other settings
        try:
            out = called(given)
        except (Exception, SystemExit) as error:
            failed(error)
            raise
        has_result = step.state in ("succeeded", "reused")
        found = tuple(differences(step, out, handle, explained)) if has_result else ()
        known = has_result and is_known(step, out)
    verdict: Verdict = "different" if found else "identical" if known else "unknown"
    causes = tuple(_causes(run, step, function)) if verdict != "identical" else ()
    return Replay(run=run.key, step=step, verdict=verdict, differences=found, causes=causes)


def inputs_of(step: PastStep, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a step by parameter, as they travelled.

    Raises:
        UnsupportedError: The record does not have all of them.
        InvalidParameterError: `changed` names no parameter.
    """
    if step.given is None:
        raise UnsupportedError(
            f"the record does not have the inputs of {step.function!r}; it is of an earlier version, or "
            "LUCAS_STORAGE_RECORD_VALUES left them out"
        )
    for name in changed:
        if name not in step.given and name not in step.withheld:
            raise InvalidParameterError(f"the step {step.function!r} was given no parameter {name!r}")
    missing = [name for name in step.withheld if name not in changed]
    if missing:
        raise UnsupportedError(
            f"the record leaves out {', '.join(map(repr, missing))} of {step.function!r}, which may be secret or is "
            "too large; give it with --given NAME=JSON"
        )
    return {name: wire_form.tagged(value) for name, value in {**step.given, **changed}.items()}


class _Alone:
    """A step with nothing around its function but its inputs and its result."""

    def __init__(self, function: Shim, others: Callable[[], Handlers]) -> None:
        self._others = others
        shipped = contract_of_shim(function)
        assert shipped is not None
        self._contract = Contract.from_shipped(shipped)
        # Neither a result of before in the place of a call, nor a second attempt that hides the first.
        alone = replace(self._contract, cache=False, attempts=AttemptPolicy())
        self._step = Step(function.__wrapped__, alone)

    def __call__(self, given: dict[str, Any]) -> Any:
        if self._contract.takes_runtime:
            return self._step((LocalOnceRuntime.serving(given, self._others()),), {})
        return self._step((), given)


def _causes(run: PastRun, step: PastStep, function: Shim) -> Iterator[str]:
    shipped = contract_of_shim(function)
    assert shipped is not None
    version = FunctionVersion(function.__wrapped__, Contract.from_shipped(shipped)).known()
    if step.version is not None and version is not None and version != step.version:
        yield "the function, or code that it reaches, is another one than it was"
    if run.python is not None and run.python != platform.python_version():
        yield f"Python {platform.python_version()} instead of {run.python}"
    # A record may be a stranger's, with any number of names of any length.
    recorded = sorted(islice(run.packages.items(), _PACKAGES))
    changed = [text for name, before in recorded if (text := _version_text(name[:_NAME], before[:_NAME]))]
    if any(mention.ref is not None and mention.ref.format in PICKLES for mention in step.outputs):
        yield "a class that a script or a function defines has another pickle each time it is defined"
    yield from changed[:_SHOWN]
    if len(changed) > _SHOWN:
        yield f"and {len(changed) - _SHOWN} more packages of other versions"


def _version_text(name: str, before: str) -> str | None:
    try:
        now = metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return f"{name} is not installed, and was {before}"
    return None if now == before else f"{name} {now} instead of {before}"
