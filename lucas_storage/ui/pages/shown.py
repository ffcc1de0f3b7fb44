"""How times, sizes, states and references are written on every page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from actorc.storage.units import shown_size
from lucas_storage.lineage.node_text import shown_seconds
from lucas_storage.records.past_run import Mention, PastRun, PastStep
from lucas_storage.refs import ArtifactRef
from lucas_storage.ui.elements import Html, badge, element, joined, link

from .page import Reader

STATES: Final = ("succeeded", "failed", "running", "reused", "lost")
_SOME: Final = 50
"""References of one value that are shown."""


def when(moment: datetime | float) -> Html:
    """Return a time, in UTC.

    Args:
        moment: Aware, or seconds since 1970.
    """
    at = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    shown = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return element("time", shown, datetime=f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")


def took(seconds: float | None) -> str:
    """Return a length of time; a dash if it is not known yet."""
    return "\u2013" if seconds is None else shown_seconds(seconds)


def state(reader: Reader, name: str) -> Html:
    """Return the state of a run or step as a badge."""
    known = name if name in STATES else "lost"
    return badge(reader.words(f"state.{known}"), known)


def run_state(reader: Reader, run: PastRun) -> Html:
    """Return the state of a run, with the class of its error."""
    return joined(state(reader, run.status), f" {run.error}" if run.error else None)


def step_state(reader: Reader, step: PastStep) -> Html:
    """Return the state of a step, with the class of its error."""
    return joined(state(reader, step.state), f" {step.error}" if step.error else None)


def size_of(mentions: Iterable[Mention]) -> str:
    """Return the bytes of some artifacts."""
    return shown_size(sum(mention.size for mention in mentions))


def artifact_link(reader: Reader, ref: ArtifactRef) -> Html:
    """Return a link to the page of an artifact."""
    return joined(
        link(reader.links.to("artifact", ref=ref.uri), artifact_name(ref)), f" {ref.format}, {shown_size(ref.size)}"
    )


def artifact_name(ref: ArtifactRef) -> str:
    """Return the name of the file of an artifact, or the beginning of its digest."""
    digest = (ref.digest or "").removeprefix("sha256:")[:12]
    return ref.filename or (f"{digest}…" if digest else ref.key)


def mentioned(reader: Reader, mentions: tuple[Mention, ...]) -> Html:
    """Return artifacts, each on a line of its own, and the number of those that are left out."""
    shown = [_mention(reader, mention) for mention in mentions[:_SOME]]
    more = len(mentions) - len(shown)
    rest = [element("div", reader.words("more", count=more))] if more > 0 else []
    return joined(*(element("div", each) for each in shown), *rest)


def mentioned_by_name(reader: Reader, found: Mapping[str, tuple[Mention, ...]]) -> dict[str, str]:
    """Return artifacts under the names of the parameters that took them."""
    return {name or "\u2013": mentioned(reader, mentions) for name, mentions in found.items() if mentions}


def _mention(reader: Reader, mention: Mention) -> Html:
    if mention.ref is not None:
        return artifact_link(reader, mention.ref)
    return joined(reader.words("within_call", format=mention.format, size=shown_size(mention.size)))
