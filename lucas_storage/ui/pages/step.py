"""One step of a run: what it took and made, its source, and why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from lucas_storage.display.markup import cut_to
from lucas_storage.lineage.node_text import shown_seconds
from lucas_storage.records.past_run import Attempt, PastRun, PastStep
from lucas_storage.refs import ArtifactRef
from lucas_storage.ui.elements import Html, element, facts, joined, lines, link, note, problem, prose, section, table

from .objects import Content, content_of
from .page import Page, Reader
from .run import parameters, value
from .shown import artifact_name, mentioned, mentioned_by_name, step_state, took, when


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step, and what its artifacts hold."""

    run: PastRun
    step: PastStep
    key: str
    """Its key in the graph of the run."""
    source: str | None
    """The source of its function; None if it is not recorded, or cannot be read."""
    contents: Mapping[ArtifactRef, Content]
    """Of some of its inputs and outputs."""


def step_page(view: StepView, reader: Reader) -> Page:
    """Return the page of a step; one that runs is read again."""
    words, step = reader.words, view.step
    way = element("p", link(reader.links.to("run", id=view.run.key), words("step.back", id=view.run.key)))
    body = joined(
        way,
        facts(_facts(view, reader)),
        *_error(step, reader),
        _attempts(step, reader),
        section(
            words("step.inputs"), facts(mentioned_by_name(reader, step.inputs)), *_previews(view, _taken(step), reader)
        )
        if any(step.inputs.values())
        else None,
        section(words("step.outputs"), mentioned(reader, step.outputs), *_previews(view, _made(step), reader))
        if step.outputs
        else None,
        _returned(step, reader),
        _given(step, reader),
        section(words("step.source"), _source(view, reader)),
        _again(view, reader),
    )
    return Page(title=step.function[:200], body=body, menu="runs", live=step.state == "running")


def _facts(view: StepView, reader: Reader) -> dict[str, str | None]:
    step, words = view.step, reader.words
    return {
        words("step.state"): step_state(reader, step),
        words("step.started"): when(step.started),
        words("step.took"): took(None if step.state == "running" else step.seconds),
        words("step.machine"): step.machine,
        words("step.version"): cut_to(step.version, 40) if step.version else None,
        words("step.after"): _after(view, reader),
    }


def _after(view: StepView, reader: Reader) -> Html | None:
    names = {step.key: step.function for step in view.run.steps if step.key}
    known = [key for key in view.step.after if key in names][:20]
    steps = (link(reader.links.to("step", run=view.run.key, step=key), names[key]) for key in known)
    return joined(*(joined(each, " ") for each in steps)) if known else None


def _error(step: PastStep, reader: Reader) -> list[Html]:
    if step.error is None:
        return []
    text = f"{step.error}: {step.message}" if step.message else step.error
    told = problem(element("strong", prose(text)))
    if step.traceback is None:
        return [told, note(reader.words("step.no_traceback"))]
    return [told, section(reader.words("step.traceback"), lines(step.traceback, reader.words("step.traceback")))]


def _attempts(step: PastStep, reader: Reader) -> Html | None:
    if not step.attempts:
        return None
    words = reader.words
    head = [words(f"attempt.{name}") for name in ("number", "took", "error")]
    rows = [(str(number), *_attempt(each)) for number, each in enumerate(step.attempts[:100], 1)]
    return section(words("step.attempts"), table(words("step.attempts"), head, rows))


def _attempt(attempt: Attempt) -> tuple[str, str]:
    error = ": ".join(part for part in (attempt.error, attempt.message) if part)
    return shown_seconds(attempt.seconds), error


def _taken(step: PastStep) -> list[ArtifactRef]:
    return [mention.ref for mentions in step.inputs.values() for mention in mentions if mention.ref]


def _made(step: PastStep) -> list[ArtifactRef]:
    return [mention.ref for mention in step.outputs if mention.ref]


def _previews(view: StepView, refs: list[ArtifactRef], reader: Reader) -> list[Html]:
    shown = [ref for ref in dict.fromkeys(refs) if ref in view.contents]
    return [
        element(
            "details",
            element("summary", artifact_name(ref)),
            content_of(view.contents[ref], reader),
            open=number == 0,
        )
        for number, ref in enumerate(shown)
    ]


def _returned(step: PastStep, reader: Reader) -> Html | None:
    """Return a small result as the record has it; others are among the outputs."""
    if step.returned is None:
        return None
    return section(reader.words("step.returned"), value(step.returned, reader))


def _given(step: PastStep, reader: Reader) -> Html | None:
    found = parameters(step.given, step.withheld, reader)
    return section(reader.words("step.given"), found) if found else None


def _source(view: StepView, reader: Reader) -> Html:
    if view.source is None:
        return note(reader.words("step.no_source"))
    return lines(view.source, reader.words("step.source"))


def _again(view: StepView, reader: Reader) -> Html | None:
    """Return the command that runs the step again alone; only of a step whose record has what that takes."""
    if view.step.shipped is None and view.step.given is None:
        return None
    # In quotes where a shell needs them: the record may be a stranger's, and the command is made to be copied.
    command = f"lucas-storage replay {view.run.key} {quote(view.key)}"
    return section(reader.words("step.again"), lines(command, reader.words("step.again")))
