"""One run: its graph, its steps, and what it was run with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from lucas_storage.lineage.graph import Graph, Node
from lucas_storage.lineage.node_text import shown_seconds
from lucas_storage.lineage.run_graph import INPUT, RESULT, graph_of, step_keys
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.refs import ArtifactRef
from lucas_storage.ui.elements import Html, element, facts, joined, lines, link, note, problem, prose, section, table

from .drawings import drawing
from .page import Page, Reader
from .shown import artifact_link, mentioned, mentioned_by_name, run_state, size_of, step_state, took, when

_STEPS: Final = 200
"""Steps of one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run, and the part of it that is shown."""

    run: PastRun
    before: PastRun | None
    """The last run of the same workflow before it."""
    unfolded: bool = False
    """Whether every step has a box of its own."""
    function: str | None = None
    """The function whose steps are listed; None: all."""
    first: int = 0
    """Number of the first step of the list."""


def run_page(view: RunView, reader: Reader) -> Page:
    """Return the page of a run; one that goes on is read again."""
    run, words = view.run, reader.words
    body = joined(
        facts(_facts(view, reader)),
        _error(run, reader),
        section(words("run.graph"), *_graph(view, reader)) if run.steps else note(words("run.no_steps")),
        section(words("run.steps"), *_steps(view, reader), id="steps") if run.steps else None,
        section(words("run.inputs"), facts(mentioned_by_name(reader, run.inputs)))
        if any(run.inputs.values())
        else None,
        section(words("run.result"), mentioned(reader, run.outputs)) if run.outputs else None,
        _parameters(run, reader),
        _environment(run, reader),
    )
    title = words("run.title", workflow=run.workflow[:200], id=run.key)
    return Page(title=title, body=body, menu="runs", live=run.status == "running")


def parameters(found: dict[str, Any] | None, withheld: tuple[str, ...], reader: Reader) -> Html | None:
    """Return values by name as they travelled, references as links, and the names of those that were not recorded."""
    if found is None and not withheld:
        return None
    values = {name: value(each, reader) for name, each in (found or {}).items()}
    return joined(facts(values), note(reader.words("run.withheld", names=", ".join(withheld))) if withheld else None)


def _facts(view: RunView, reader: Reader) -> dict[str, str | None]:
    run, words = view.run, reader.words
    return {
        words("runs.state"): run_state(reader, run),
        words("runs.started"): when(run.started),
        words("runs.took"): took(run.seconds),
        words("run.heard"): when(run.heard) if run.heard is not None else None,
        words("run.parallel"): str(run.parallel) if run.parallel > 1 else None,
        words("run.machine"): run.machine,
        words("run.before"): _before(view, reader),
    }


def _before(view: RunView, reader: Reader) -> Html | None:
    run, before = view.run, view.before
    if before is None:
        return None
    difference = reader.links.to("diff", a=before.key, b=run.key)
    return joined(
        link(reader.links.to("run", id=before.key), before.key),
        f" ({took(before.seconds)}) ",
        link(difference, reader.words("run.compare")),
    )


def _error(run: PastRun, reader: Reader) -> Html | None:
    if run.error is None:
        return None
    text = f"{run.error}: {run.message}" if run.message else run.error
    failing = [
        link(reader.links.to("step", run=run.key, step=key), step.function)
        for step, key in zip(run.steps, step_keys(run), strict=True)
        if step.error
    ][:5]
    where = joined(" ", reader.words("run.failed_in"), " ", *failing) if failing else None
    return problem(joined(element("strong", prose(text)), where))


def _graph(view: RunView, reader: Reader) -> list[Html]:
    whole = graph_of(view.run, view.before)
    graph = whole if view.unfolded else whole.folded()
    frame = drawing(graph, _links(graph, view.run, reader), reader.words("run.graph"), reader)
    other = reader.links.to("run", id=view.run.key, all=None if view.unfolded else 1)
    label = reader.words("run.fold" if view.unfolded else "run.unfold")
    can_fold = len(graph.nodes) < len(whole.nodes) or view.unfolded
    told = [note(reader.words("run.compared"))] if view.before else []
    return [*told, frame, *([element("p", link(other, label))] if can_fold else [])]


def _links(graph: Graph, run: PastRun, reader: Reader) -> dict[str, str]:
    data = {f"{INPUT}{name}": mentions for name, mentions in run.inputs.items()} | {RESULT: run.outputs}
    single = {key: found[0].ref for key, found in data.items() if len(found) == 1}
    artifacts = {key: reader.links.to("artifact", ref=ref.uri) for key, ref in single.items() if ref is not None}
    return {node.key: _address(node, run, reader) for node in graph.nodes if node.state != "data"} | artifacts


def _address(node: Node, run: PastRun, reader: Reader) -> str:
    """Return the page of a step, or the list of the steps for which one box stands."""
    if node.count > 1:
        return reader.links.to("run", id=run.key, function=node.name) + "#steps"
    return reader.links.to("step", run=run.key, step=node.key)


def _steps(view: RunView, reader: Reader) -> list[Html]:
    words, run = reader.words, view.run
    pairs = [
        (step, key)
        for step, key in zip(run.steps, step_keys(run), strict=True)
        if view.function is None or step.function == view.function
    ]
    names = ("step", "state", "started", "took", "in", "out")
    rows = [_row(run, step, key, reader) for step, key in pairs[view.first : view.first + _STEPS]]
    shown = table(words("run.steps"), [words(f"step.{name}") for name in names], rows)
    chosen = [] if view.function is None else [_chosen(view, reader)]
    return [*chosen, shown, *_more(view, len(pairs), reader)]


def _chosen(view: RunView, reader: Reader) -> Html:
    back = link(reader.links.to("run", id=view.run.key) + "#steps", reader.words("run.all_steps"))
    return element("p", reader.words("run.of_function", function=view.function or ""), " ", back)


def _more(view: RunView, count: int, reader: Reader) -> list[Html]:
    if count <= _STEPS:
        return []
    told = reader.words("run.range", first=view.first + 1, last=min(view.first + _STEPS, count), count=count)
    here = {"id": view.run.key, "function": view.function, "all": 1 if view.unfolded else None}
    links = []
    if view.first:
        links.append(
            link(reader.links.to("run", **here, first=max(0, view.first - _STEPS)) + "#steps", reader.words("previous"))
        )
    if view.first + _STEPS < count:
        links.append(link(reader.links.to("run", **here, first=view.first + _STEPS) + "#steps", reader.words("next")))
    return [element("p", told, *(joined(" ", each) for each in links))]


def _row(run: PastRun, step: PastStep, key: str, reader: Reader) -> tuple[str, ...]:
    taken = [mention for mentions in step.inputs.values() for mention in mentions]
    return (
        link(reader.links.to("step", run=run.key, step=key), step.function),
        step_state(reader, step),
        when(step.started),
        "\u2013" if step.state == "running" else shown_seconds(step.seconds),
        size_of(taken),
        size_of(step.outputs),
    )


def _parameters(run: PastRun, reader: Reader) -> Html | None:
    found = parameters(run.parameters, run.withheld, reader)
    return section(reader.words("run.parameters"), found) if found else None


def _environment(run: PastRun, reader: Reader) -> Html | None:
    if not run.packages and run.python is None:
        return None
    versions = table(
        reader.words("run.packages"),
        (reader.words("run.package"), reader.words("run.version")),
        sorted({"Python": run.python or "?", **run.packages}.items())[:1000],
    )
    summary = element("summary", reader.words("run.packages_of", count=len(run.packages)))
    return section(reader.words("run.packages"), element("details", summary, versions))


def value(found: Any, reader: Reader) -> Html:
    """Return a value of a record: a reference as a link, and other data as JSON."""
    if type(found) is ArtifactRef:
        return artifact_link(reader, found)
    text = json.dumps(found, ensure_ascii=False, default=_uri, indent=1)
    return lines(text, reader.words("run.value")) if "\n" in text else joined(text)


def _uri(found: object) -> str:
    return found.uri if type(found) is ArtifactRef else "?"
