"""`runs`: lists past runs, and shows the steps of one with their inputs and outputs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

import click

from actorc.storage.units import shown_size
from lucas_storage.cli.artifact_handles import artifacts, short
from lucas_storage.cli.completion.parameters import RUNS
from lucas_storage.cli.printing import printable, wrapped
from lucas_storage.cli.session import Session, reading
from lucas_storage.records.run_history import Mention, PastRun, PastStep, find, recent

if TYPE_CHECKING:
    from rich.tree import Tree

_WIDE: Final = 10_000
_OUTPUT: Final = 1
_SOME: Final = 5
"""References of one value that are shown unless all are asked for."""


@click.command()
@click.argument("run", metavar="[ID]", required=False, shell_complete=RUNS)
@click.option("-n", "--count", type=click.IntRange(min=1), default=20, show_default=True, help="Runs to list.")
@click.option("-l", "--long", is_flag=True, help="Show whole references, and all of them.")
@click.option("--svg", "drawing", flag_value="svg", help="Print the graph of one run as an SVG drawing.")
@click.option("--mermaid", "drawing", flag_value="mermaid", help="Print it as a Mermaid flowchart.")
@reading
def runs(session: Session, run: str | None, *, count: int, long: bool, drawing: str | None) -> None:
    """List the last runs, or show one as a tree of its steps.

    ID is the beginning of a run's id, or 'last'.
    """
    if drawing and run is None:
        raise click.UsageError(f"--{drawing} draws one run; name it, or 'last'")
    with artifacts(session) as storage:
        if drawing and run is not None:
            click.echo(_drawn(find(storage, run), drawing), nl=drawing == "svg")
            return
        if run is not None:
            _show(session, find(storage, run), long=long)
            return
        for past in recent(storage, count):
            session.emit(_record(past), _line(past))


def _drawn(run: PastRun, drawing: str) -> str:
    # Of use to these two options only.
    from lucas_storage.lineage import graph_mermaid, graph_svg, run_graph  # noqa: PLC0415

    graph = run_graph.graph_of(run).folded()
    return graph_svg.svg(graph) if drawing == "svg" else graph_mermaid.mermaid(graph)


def _line(run: PastRun) -> str:
    reused = sum(step.reused for step in run.steps)
    steps = f"{len(run.steps)} step{'' if len(run.steps) == 1 else 's'}" + (f" ({reused} reused)" if reused else "")
    when = f"{_time(run.started)}  {_seconds(run.seconds):>8}"
    return wrapped(f"{run.key}  {when}  {_status(run):<22}  {printable(run.workflow)}, {steps}", 4)


def _show(session: Session, run: PastRun, *, long: bool) -> None:
    if session.as_json:
        session.emit(_record(run), None)
        return
    from rich.console import Console  # noqa: PLC0415  # of use to few commands only

    # Lines are wrapped for terminals only, so that `grep` finds whole ones.
    terminal = os.isatty(_OUTPUT)
    Console(width=None if terminal else _WIDE, highlight=False).print(_tree(run, long=long), soft_wrap=True)


def _tree(run: PastRun, *, long: bool) -> Tree:
    from rich.text import Text  # noqa: PLC0415
    from rich.tree import Tree  # noqa: PLC0415

    head = f"{printable(run.workflow)}  {run.key}  {_status(run)}  {_time(run.started)}  {_seconds(run.seconds)}"
    tree = Tree(Text(head, style="bold"))
    for line in _mentions("in", run.inputs, long=long):
        tree.add(Text(line, style="dim"))
    for step in run.steps:
        # `Text` rather than markup: brackets in the name of a function are no style.
        branch = tree.add(Text(_step_line(step), style="red" if step.error else "cyan" if step.reused else ""))
        for line in (*_mentions("in", step.inputs, long=long), *_mentions("out", {"": step.outputs}, long=long)):
            branch.add(Text(line, style="dim"))
    for line in _mentions("out", {"": run.outputs}, long=long):
        tree.add(Text(line, style="dim"))
    if run.parallel > 1:
        tree.add(Text(f"up to {run.parallel} steps at the same time", style="dim"))
    return tree


def _step_line(step: PastStep) -> str:
    notes = [*(["reused"] if step.reused else []), *([printable(step.error)] if step.error else [])]
    return "  ".join([printable(step.function), _seconds(step.seconds), *notes])


def _mentions(what: str, found: dict[str, tuple[Mention, ...]], *, long: bool) -> Iterator[str]:
    for name, mentions in found.items():
        head = f"{what} {printable(name)}".rstrip()
        shown = mentions if long else mentions[:_SOME]
        for mention in shown:
            yield f"{head}  {_mention(mention, long=long)}"
        if len(shown) < len(mentions):
            yield f"{head}  and {len(mentions) - len(shown)} more"


def _mention(mention: Mention, *, long: bool) -> str:
    if mention.ref is None:
        return f"{printable(mention.format)} {shown_size(mention.size)} inline"
    # In quotes where a shell needs them, so that 'show' takes it as it is.
    return quote(mention.ref.uri) if long else short(mention.ref)


def _status(run: PastRun) -> str:
    if run.status == "running":
        return "running or killed"
    return printable(f"{run.status} ({run.error})" if run.error else run.status)


def _record(run: PastRun) -> dict[str, Any]:
    record = asdict(run)
    record["inputs"] = _plain(run.inputs)
    record["outputs"] = [_plain_mention(each) for each in run.outputs]
    for fields, step in zip(record["steps"], run.steps, strict=True):
        fields["inputs"] = _plain(step.inputs)
        fields["outputs"] = [_plain_mention(each) for each in step.outputs]
    return record


def _plain(found: dict[str, tuple[Mention, ...]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [_plain_mention(each) for each in mentions] for name, mentions in found.items()}


def _plain_mention(mention: Mention) -> dict[str, Any]:
    ref = None if mention.ref is None else mention.ref.uri
    return {"format": mention.format, "size": mention.size, "ref": ref}


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.2f}s"
    return f"{int(seconds // 60)}m{int(seconds % 60):02}s"
