"""Past runs for the people who ran them: in a program, at a prompt, in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lucas_storage.display.markup import LONG, visible
from lucas_storage.records import run_history, run_log
from lucas_storage.records.run_history import PastRun, PastStep
from lucas_storage.refs import ArtifactRef
from lucas_storage.storage import Storage

from . import run_diff, run_diff_html, run_diff_text, run_html
from .graph import Graph
from .graph_mermaid import mermaid
from .graph_svg import svg
from .node_text import shown_seconds
from .run_graph import graph_of

if TYPE_CHECKING:
    from lucas_storage.replay.replay import Replay

__all__ = ["Run", "RunDifference", "RunList", "last_run", "runs"]


class Run:
    """A run of a workflow, as its record tells it. Immutable; a notebook shows its graph."""

    def __init__(self, past: PastRun) -> None:
        self._past = past

    @property
    def id(self) -> str:
        """The id, which references that the run made have as their `run`."""
        return self._past.key

    @property
    def workflow(self) -> str:
        """The name of the workflow."""
        return self._past.workflow

    @property
    def status(self) -> str:
        """``succeeded``, ``failed``, ``running``, or ``lost``, if nothing was heard of it for a minute."""
        return self._past.status

    @property
    def error(self) -> str | None:
        """The name of the class of the exception that ended it."""
        return self._past.error

    @property
    def message(self) -> str | None:
        """The text of that exception, if it was recorded."""
        return self._past.message

    @property
    def machine(self) -> str | None:
        """The name of the machine that it was started on; None in records of early versions."""
        return self._past.machine

    @property
    def python(self) -> str | None:
        """The version of Python there."""
        return self._past.python

    @property
    def packages(self) -> dict[str, str]:
        """Versions by name of the installed packages that were imported there."""
        return dict(self._past.packages)

    @property
    def parameters(self) -> dict[str, Any] | None:
        """The inputs by name as they travelled: JSON data and `ArtifactRef`; None if they were not recorded."""
        return self._past.parameters

    @property
    def started(self) -> datetime:
        """When it began, aware, in UTC."""
        return datetime.fromtimestamp(self._past.started, UTC)

    @property
    def seconds(self) -> float | None:
        """How long it took; None if it has not ended."""
        return self._past.seconds

    @property
    def steps(self) -> tuple[PastStep, ...]:
        """The steps in the order in which they began; one that has not ended is ``running``, or ``lost`` as its run."""
        return self._past.steps

    @property
    def inputs(self) -> dict[str, tuple[ArtifactRef, ...]]:
        """The artifacts among the inputs, by name."""
        return {name: _refs(mentions) for name, mentions in self._past.inputs.items()}

    @property
    def outputs(self) -> tuple[ArtifactRef, ...]:
        """The artifacts in the result."""
        return _refs(self._past.outputs)

    @property
    def graph(self) -> Graph:
        """Which step took what from which."""
        return graph_of(self._past)

    def svg(self) -> str:
        """Return the graph as an SVG drawing, many alike steps as one box."""
        return svg(self.graph.folded())

    def mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart, many alike steps as one node."""
        return mermaid(self.graph.folded())

    def diff(self, other: Run | str, *, store: str | None = None) -> RunDifference:
        """Return how a later run differs from this one: the first step whose inputs are equal and whose result is not.

        Args:
            other: The other run, or the beginning of its id, or ``last``.
            store: Logical name of the store that has both; None takes the one of the settings.

        Raises:
            NotFoundError: There is no such run.
            StorageError: A store cannot be reached.
        """
        with Storage(store) as storage:
            # Read anew: a run of a list lacks what is large in the records of its steps.
            later = other.id if isinstance(other, Run) else other
            before, after = run_history.find(storage, self.id), run_history.find(storage, later)
            return RunDifference(run_diff.run_diff(storage, before, after))

    def replay(
        self,
        step: str | None = None,
        *,
        today: bool = False,
        given: Mapping[str, Any] | None = None,
        store: str | None = None,
    ) -> Replay:
        """Run one step again, alone, on the very inputs that it had, and return whether the result is the same.

        Nothing is left in the store. Caching, retries and time limits of the step do not apply.

        Args:
            step: The name of a function, ``name#2`` for the second of several steps of it, or the beginning of a step's
                key; None for the step that failed.
            today: Whether to run the function as its file has it today, and not as it was shipped.
            given: Values by parameter in place of the recorded ones: JSON data, or references.
            store: Logical name of the store; None takes the one of the settings.

        Raises:
            NotFoundError: There is no such step.
            InvalidParameterError: There are several, or `given` names no parameter.
            FunctionLoadError: The function cannot be had; says why, and what to do.
            UnsupportedError: The record does not have all inputs.
            Exception: Whatever the step raises, as it is.
        """
        # Of use to few programs that look at runs, and they bring a server.
        from lucas_storage.replay.functions import function_of  # noqa: PLC0415
        from lucas_storage.replay.selection import step_of  # noqa: PLC0415

        from .replays import run_again  # noqa: PLC0415

        with Storage(store) as storage:
            # Read anew: a run of a list lacks what is large in the records of its steps.
            past = run_history.find(storage, self.id)
            chosen = step_of(past, step)
            with function_of(storage, chosen, today=today) as found:
                return run_again(past, chosen, found, given, today=today)

    def __repr__(self) -> str:
        took = "" if self.seconds is None else f", {shown_seconds(self.seconds)}"
        return f"<run {self.id} of {self.workflow!r}: {self.status}, {len(self.steps)} steps{took}>"

    def _repr_html_(self) -> str:
        return run_html.of_run(self._past)


class RunDifference:
    """How two runs differ. Immutable; printed as text, and a notebook shows it with images side by side."""

    def __init__(self, found: run_diff.RunDiff) -> None:
        self.data = found
        """The difference as data, with `to_json()`."""

    @property
    def is_equal(self) -> bool:
        """Whether both runs did the same; the machine, its packages, times and reuse of results do not count."""
        return self.data.is_equal

    @property
    def step(self) -> str | None:
        """The name of the first step that differs; None if there is none."""
        return None if self.data.first is None else self.data.first.function

    def __repr__(self) -> str:
        return "\n".join(visible(line, LONG) for line in run_diff_text.lines(self.data))

    def _repr_html_(self) -> str:
        return run_diff_html.of_diff(self.data)


class RunList(list[Run]):
    """Runs, the latest first; a notebook shows a table."""

    def _repr_html_(self) -> str:
        return run_html.of_runs([run._past for run in self])  # noqa: SLF001  # the record is that of this module's class


def runs(count: int = 20, *, store: str | None = None) -> RunList:
    """Return the last runs that the store holds, the latest first.

    Args:
        count: Runs at most.
        store: Logical name of the store; None takes the one of the settings.

    Raises:
        StorageError: The store cannot be read.
    """
    with Storage(store) as storage:
        return RunList(map(Run, run_history.recent(storage, count)))


def last_run(*, store: str | None = None) -> Run:
    """Return the run that this process began last; if it began none, the latest that the store holds.

    Args:
        store: Logical name of the store; None takes the one of the settings.

    Raises:
        NotFoundError: There is none, or its record was not written.
        StorageError: The store cannot be read.
    """
    with Storage(store) as storage:
        return Run(run_history.find(storage, run_log.last_key() or "last"))


def _refs(mentions: tuple[run_history.Mention, ...]) -> tuple[ArtifactRef, ...]:
    return tuple(mention.ref for mention in mentions if mention.ref is not None)
