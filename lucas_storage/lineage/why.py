"""Where artifacts come from and what was made from them, for people: in a program, at a prompt, in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lucas_storage.gc.keepers import Keeper
from lucas_storage.records.index.run_index import IndexEntry
from lucas_storage.refs import ArtifactRef
from lucas_storage.storage import Storage

from .provenance import explanation_html
from .provenance.explanation import Consequences, Explanation, consequences, explain
from .provenance.explanation_text import consequences_tree, explanation_tree, lines
from .provenance.kept_by import Keeping
from .provenance.named_artifact import artifact_named, parsed
from .provenance.trace import TracedStep

__all__ = ["Uses", "Why", "uses", "why"]

Found = TypeVar("Found")


class Why:
    """Why an artifact is there: the steps that led to it, the runs that read it, and what keeps it. Immutable.

    Its repr has this as lines; a notebook shows the graph as well.
    """

    def __init__(self, found: Explanation) -> None:
        self._found = found

    @property
    def ref(self) -> ArtifactRef:
        """The artifact."""
        return self._found.ref

    @property
    def made_by(self) -> TracedStep | None:
        """The step that made it; None if no recorded run did."""
        nearest = self._found.trace.nearest
        return self._found.trace.step(nearest[0]) if nearest else None

    @property
    def steps(self) -> tuple[TracedStep, ...]:
        """All steps that led to it, the one that made it first."""
        return self._found.trace.steps

    @property
    def read_by(self) -> tuple[IndexEntry, ...]:
        """The latest runs of which a step took it, at most 100."""
        return self._found.read.latest

    @property
    def kept_by(self) -> tuple[Keeper, ...]:
        """The records that keep it from being collected, those that count longest first."""
        return self._found.keeping.keepers

    @property
    def keeping(self) -> Keeping:
        """When it may be collected."""
        return self._found.keeping

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON data, as ``lucas-storage why --json`` prints it."""
        return self._found.to_json()

    def __repr__(self) -> str:
        return "\n".join(lines(explanation_tree(self._found)))

    def _repr_html_(self) -> str:
        return explanation_html.of_explanation(self._found)


class Uses:
    """What was made from an artifact. Immutable; its repr has this as lines, a notebook shows the graph as well."""

    def __init__(self, found: Consequences) -> None:
        self._found = found

    @property
    def ref(self) -> ArtifactRef:
        """The artifact."""
        return self._found.ref

    @property
    def steps(self) -> tuple[TracedStep, ...]:
        """All steps that it led to, those that took it first."""
        return self._found.trace.steps

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON data, as ``lucas-storage uses --json`` prints it."""
        return self._found.to_json()

    def __repr__(self) -> str:
        return "\n".join(lines(consequences_tree(self._found)))

    def _repr_html_(self) -> str:
        return explanation_html.of_consequences(self._found)


def why(ref: object, *, store: str | None = None) -> Why:
    """Return where an artifact comes from, who read it, and what keeps it from being collected.

    Args:
        ref: An `ArtifactRef`, its URI or tagged dict; or text: a published name, a digest or six digits of it at least,
            or the key of an object.
        store: Logical name of the store; None takes that of the reference, or the one of the settings.

    Raises:
        ArtifactNotFoundError: There is nothing so named.
        InvalidParameterError: Several digests begin so, or the reference carries its bytes itself.
        StorageError: The store cannot be read.
    """
    return Why(_asked(ref, store, explain))


def uses(ref: object, *, store: str | None = None) -> Uses:
    """Return what was made from an artifact: the steps that took it, those that took what these made, and so on.

    Args:
        ref: As for `why`.
        store: As for `why`.

    Raises:
        ArtifactNotFoundError: There is nothing so named.
        InvalidParameterError: Several digests begin so, or the reference carries its bytes itself.
        StorageError: The store cannot be read.
    """
    return Uses(_asked(ref, store, consequences))


def _asked(ref: object, store: str | None, answer: Callable[[Storage, ArtifactRef], Found]) -> Found:
    known = parsed(ref)
    with Storage(store if store is not None or known is None else known.store) as storage:
        return answer(storage, artifact_named(storage, str(ref)) if known is None else known)
